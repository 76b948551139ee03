"""What one order costs, delivery included."""

from dataclasses import dataclass

from . import rates


@dataclass(frozen=True)
class Order:
    """What the customer wants sent."""

    goods_cents: int
    weight_grams: int
    zone: str = "HOME"


@dataclass(frozen=True)
class Quote:
    """The price of an order, in cents."""

    goods_cents: int
    delivery_cents: int

    @property
    def total_cents(self) -> int:
        return self.goods_cents + self.delivery_cents


def quote(order: Order) -> Quote:
    """Price an order; delivery is free from the limit in `rates` on."""
    return Quote(goods_cents=order.goods_cents, delivery_cents=delivery_cents(order))


def delivery_cents(order: Order) -> int:
    """The delivery fee of an order."""
    fee = rates.BASE_FEE_CENTS[order.zone] + rates.surcharge_cents(order.weight_grams)
    if order.goods_cents > rates.FREE_DELIVERY_FROM_CENTS:
        return 0
    return fee
