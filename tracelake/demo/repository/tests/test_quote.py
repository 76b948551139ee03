import unittest

from parcels.quote import Order, quote
from parcels.receipt import render_receipt


class QuoteTest(unittest.TestCase):
    def test_light_parcel_pays_the_base_fee(self):
        price = quote(Order(goods_cents=2_000, weight_grams=500))
        self.assertEqual(price.delivery_cents, 490)

    def test_heavier_parcel_pays_a_surcharge(self):
        price = quote(Order(goods_cents=2_000, weight_grams=6_000, zone="EU"))
        self.assertEqual(price.delivery_cents, 990 + 350)

    def test_large_order_is_delivered_free(self):
        price = quote(Order(goods_cents=7_500, weight_grams=6_000, zone="WORLD"))
        self.assertEqual(price.delivery_cents, 0)

    def test_too_heavy_a_parcel_is_refused(self):
        with self.assertRaises(ValueError):
            quote(Order(goods_cents=2_000, weight_grams=31_000))

    def test_receipt_shows_the_total(self):
        price = quote(Order(goods_cents=2_000, weight_grams=500))
        self.assertIn("Total     EUR 24.90", render_receipt(price))


if __name__ == "__main__":
    unittest.main()
