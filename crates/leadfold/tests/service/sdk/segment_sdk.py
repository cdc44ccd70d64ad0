"""Sends what a visitor does with Segment's own SDK, with nothing changed but the host."""

import sys

import segment.analytics as analytics

failed = []
analytics.write_key = "acme"
analytics.host = sys.argv[1] + "/segment"
analytics.on_error = lambda error, messages: failed.append(error)

device = {"anonymous_id": "device-é"}
product = {"product_id": "p-1", "name": "Tablet", "price": 129.0, "currency": "EUR"}
analytics.page(name="Start", properties={"url": "https://acme.example.com/"}, **device)
analytics.track(event="Product Viewed", properties=product, **device)
analytics.identify(user_id="customer-1", traits={"email": "zoe@example.com", "name": "Zoë Quist"}, **device)
analytics.track(user_id="customer-1", event="Checkout Started", properties={"plan": "pro"})
analytics.flush()
analytics.shutdown()
for error in failed:
    print(error, file=sys.stderr)
sys.exit(bool(failed))
