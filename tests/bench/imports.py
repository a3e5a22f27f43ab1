"""How fast a CRM's export comes in: `ctxhub import` as its users start it, on a server with synced writes.

`python -m tests.bench.imports [CUSTOMERS]` prints it alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.crm import write_crm

CUSTOMERS = 100_000
MAPPING = """
timezone: Asia/Shanghai
columns:
  客户号: customer_id
  姓名: {fact: name, state: verified}
  手机: {identifier: phone, strength: verified}
  邮箱: {identifier: email}
  等级: {fact: tier}
  城市: {fact: city}
  更新时间: at
"""


def customers_per_second(customers: int = CUSTOMERS, archive: str = "off") -> float:
    """Import so many customers, each with two identifiers and three facts, and return how many came in a second."""
    with tempfile.TemporaryDirectory(prefix="ctxhub-bench-") as name:
        return imported(Path(name), customers, {"CTXHUB_ARCHIVE": archive})


def imported(folder: Path, customers: int, settings: dict[str, str]) -> float:
    """Import customers into the data of a hub, `data` in a folder, with its tenants beside it; how many a second."""
    write_crm(folder / "crm.csv", customers)
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "tenants").mkdir()
    (folder / "tenants" / "default.yaml").write_text("default_region: CN\n")
    mapping: list[str | Path] = ["--mapping", folder / "mapping.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "ctxhub", "import", folder / "crm.csv", *mapping, "--data", folder / "data"],
        env=os.environ | settings | {"CTXHUB_TENANTS": str(folder / "tenants")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"([\d,]+) a second", done.stdout)
    assert found is not None
    return float(found[1].replace(",", ""))


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS
    print(f"{customers_per_second(wanted):,.0f} customers a second, without an archive")
    with tempfile.TemporaryDirectory() as place:
        rate = customers_per_second(wanted, f"sqlite:///{place}/archive.db")
    print(f"{rate:,.0f} customers a second, with an archive")
