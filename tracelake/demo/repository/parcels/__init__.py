"""Prices for sending parcels."""
