"""What the shop can be asked, as hypothesis strategies."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from remotecalls.sockets.messages import (
    AddCustomer,
    GetCustomer,
    ListCustomers,
    PlaceOrder,
    Request,
    StreamOrders,
    UpdateBalance,
)

# Few ids, so that requests meet the same customers; and the ends of the range, inside and out.
customer_ids = st.sampled_from([1, 2, 42, 99_999_999, 0, 100_000_000, 2**32, -1])
names = st.one_of(
    st.sampled_from(["A", "Ada Lovelace", "n" * 30, "n" * 31, "", "😀" * 30, "a\tb", "a\nb", "\0"]),
    st.sampled_from(["Zoë", "Zoe\u0308", "שלום", "\u2028", "\ufeff", "\ud800", "a\\tb", " "]),
    st.text(max_size=32),
)
amounts = st.one_of(
    st.sampled_from(
        [Decimal(text) for text in ["0", "0.00", "0.01", "-0.01", "9999999.99", "10000000"]]
    ),
    st.sampled_from([Decimal(text) for text in ["0.001", "NaN", "Infinity", "1E+2", "5", "-0.00"]]),
    st.decimals(-100, 100, places=2),
)
quantities = st.sampled_from([1, 2, 9_999, 0, 10_000, -3, 2**40])

requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(AddCustomer, customer_ids, names, amounts),
    st.builds(GetCustomer, customer_ids),
    st.builds(UpdateBalance, customer_ids, amounts),
    st.builds(ListCustomers, customer_ids, st.sampled_from([1, 2, 100, 0, 101])),
    st.builds(PlaceOrder, customer_ids, names, quantities, amounts),
    st.builds(StreamOrders, customer_ids),
)
