"""Predicted ionic conductivity of every structure that holds lithium."""
