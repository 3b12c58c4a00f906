"""The interface files: linted, held against what was published, and generated from."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import protovalidate
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from remotecalls.grpc import generate
from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.shop import Customer, InvalidArgument
from remotecalls.shop.domain import from_cents

BUF = Path(sys.executable).with_name("buf")
EDITS = {
    "a renumbered field": ("string name = 2;", "string name = 6;", 'field "2" with name "name"'),
    "another type": ("string item = 3;", "bytes item = 3;", "changed type from"),
    "a method that is gone": ("rpc ListCustomers(", "rpc EveryCustomer(", '"ListCustomers"'),
    "a stream that was none": (
        "returns (GetCustomerResponse)", "returns (stream GetCustomerResponse)", "server streaming"
    ),
}  # fmt: skip


def buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    config = generate.PROTOS / "buf.yaml"
    return subprocess.run(
        [BUF, *arguments, "--config", config], capture_output=True, text=True, timeout=60
    )


def image(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """The interface as an image for buf, after a change of its text."""
    protos = shutil.copytree(generate.PROTOS, tmp_path / "protos")
    file = protos / "shop/v1/shop.proto"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1) if old else text)
    path = tmp_path / "image.binpb"
    generate.write_image(path, protos=protos, source_info=True)
    return path


def test_buf_has_nothing_to_say(tmp_path: Path) -> None:
    result = buf("lint", image(tmp_path))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_buf_names_what_is_against_the_rules(tmp_path: Path) -> None:
    changed = image(tmp_path, "uint32 order_id = 1", "uint32 orderID = 1")
    result = buf("lint", changed)
    assert result.returncode == 100
    assert "shop/v1/shop.proto" in result.stdout
    assert '"order_id"' in result.stdout


def test_the_interface_keeps_what_was_published(tmp_path: Path) -> None:
    result = buf("breaking", image(tmp_path), "--against", generate.IMAGE)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_that_breaks_clients_is_refused(tmp_path: Path, edit: str) -> None:
    old, new, said = EDITS[edit]
    changed = image(tmp_path, old, new)
    result = buf("breaking", changed, "--against", generate.IMAGE)
    assert result.returncode == 100
    assert said in result.stdout


def test_a_field_can_be_added(tmp_path: Path) -> None:
    added = "string item = 3;\n  string color = 6;"
    changed = image(tmp_path, "string item = 3;", added)
    result = buf("breaking", changed, "--against", generate.IMAGE)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.py*")
        if "__pycache__" not in path.parts
    }


def test_the_generated_code_is_that_of_the_interface(tmp_path: Path) -> None:
    generate.generate(tmp_path / "generated")
    assert files(tmp_path / "generated") == files(generate.GENERATED)


def test_what_protoc_refuses_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(generate.GenerationError):
        image(tmp_path, "string item = 3;", "string item = 1;")
    assert "Field number 1 has already been used" in capfd.readouterr().err


def test_the_published_image_is_small_and_whole() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(generate.IMAGE.read_bytes())
    names = {file.name for file in files.file}
    assert {*generate.OURS, generate.VALIDATE, "google/api/http.proto"} <= names
    assert generate.IMAGE.stat().st_size < 100_000


def test_the_package_above_is_not_shadowed() -> None:
    code = "import remotecalls.grpc.generate, grpc; print(grpc.aio.__name__)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "grpc.aio\n"


def test_the_mapping_to_rest() -> None:
    methods = shop_pb2.DESCRIPTOR.services_by_name["ShopService"].methods
    rules = {
        method.name: method.GetOptions().Extensions[annotations_pb2.http] for method in methods
    }
    verbs = {
        name: (rule.WhichOneof("pattern"), getattr(rule, rule.WhichOneof("pattern")))
        for name, rule in rules.items()
        if rule.WhichOneof("pattern")
    }
    assert verbs == {
        "GetCustomer": ("get", "/v1/customers/{customer_id}"),
        "AddCustomer": ("post", "/v1/customers"),
        "ChangeBalance": ("post", "/v1/customers/{customer_id}:changeBalance"),
        "ListCustomers": ("get", "/v1/customers"),
        "PlaceOrder": ("post", "/v1/customers/{customer_id}/orders"),
        "StreamOrders": ("get", "/v1/customers/{customer_id}/orders"),
    }


# ---------------------------------------------------------------- the rules of the domain

IDS = [0, 1, 99_999_999, 100_000_000, 2**32 - 1]
NAMES = ["", "A", "n" * 30, "n" * 31, "😀" * 30, "😀" * 31, "a\tb", "a\n", "\x7f", "\x85", "\0"]
NAMES += ["Zoe\u0308", "שלום", "\u2028", "\ufeff", " ", "\u200b", "\U000e0001"]
CENTS = [-(2**63), -1, 0, 1, 999_999_999, 1_000_000_000, 2**63 - 1]


@pytest.mark.parametrize("name", NAMES)
def test_annotations_and_domain_agree(name: str) -> None:
    for customer_id, cents in itertools.product(IDS, CENTS):
        fields = {"customer_id": customer_id, "name": name, "balance_cents": cents}
        for message in [shop_pb2.AddCustomerRequest(**fields), shop_pb2.NewCustomer(**fields)]:
            violations = protovalidate.collect_violations(message)
            try:
                Customer(customer_id, name, from_cents(cents))
            except InvalidArgument:
                assert violations
            else:
                assert not violations


def test_an_absent_number_is_told_apart_from_a_zero() -> None:
    broken = protovalidate.collect_violations(shop_pb2.ChangeBalanceRequest(customer_id=1))
    assert [each.proto.rule_id for each in broken] == ["required"]
    zero = shop_pb2.ChangeBalanceRequest(customer_id=1, change_cents=0)
    assert not protovalidate.collect_violations(zero)
    assert not protovalidate.collect_violations(shop_pb2.ListCustomersRequest())
    assert protovalidate.collect_violations(shop_pb2.ListCustomersRequest(limit=0))
    assert from_cents(zero.change_cents) == Decimal(0)
