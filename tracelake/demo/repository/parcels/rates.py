"""The numbers: fees by zone, surcharges by weight, and the limit for free delivery.

Amounts are whole cents. Prose for customers stands in docs/pricing.md.
"""

CURRENCY = "EUR"

#: Orders from this value on are delivered free of charge.
FREE_DELIVERY_FROM_CENTS = 5_000

BASE_FEE_CENTS = {"HOME": 490, "EU": 990, "WORLD": 1_990}

#: (heaviest parcel of the band in grams, surcharge in cents), lightest band first.
WEIGHT_BANDS = ((2_000, 0), (10_000, 350), (30_000, 900))


def surcharge_cents(weight_grams: int) -> int:
    """The surcharge for a parcel of this weight."""
    for heaviest, surcharge in WEIGHT_BANDS:
        if weight_grams <= heaviest:
            return surcharge
    raise ValueError(f"parcels above {WEIGHT_BANDS[-1][0]} g are not accepted")
