"""The receipt a customer gets."""

from . import rates
from .quote import Quote


def euros(cents: int) -> str:
    """An amount as customers read it, for example EUR 12.05."""
    return f"{rates.CURRENCY} {cents // 100}.{cents % 100:02d}"


FREE_DELIVERY_HINT = "Free delivery from EUR 60.00"


def render_receipt(price: Quote) -> str:
    """The receipt as plain text; a charged delivery comes with the hint how to avoid it."""
    lines = [f"Goods     {euros(price.goods_cents)}"]
    if price.delivery_cents:
        lines.append(f"Delivery  {euros(price.delivery_cents)}  ({FREE_DELIVERY_HINT})")
    else:
        lines.append("Delivery  free")
    lines.append(f"Total     {euros(price.total_cents)}")
    return "\n".join(lines)
