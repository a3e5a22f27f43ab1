"""A CRM's export as one looks: Chinese and Western customers, phones, e-mails, levels and cities."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path

HEADER = ("客户号", "姓名", "手机", "邮箱", "等级", "城市", "更新时间")
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈"
_GIVEN = "伟芳娜敏静秀丽强磊军洋勇艳杰涛明超霞平刚桂兰英华玉萍红丹玲春梅建国志海燕晓雪婷宇浩欣怡子涵梓轩"
_WESTERN = ("Ann", "Bob", "Carla", "Dmitri", "Eve", "Farid", "Grace", "Henrik", "Ines", "Jürgen", "Kyoko", "Liam")
_FAMILIES = ("Smith", "O'Brien", "Müller", "García", "Novák", "Okafor", "Tanaka", "Rossi", "Jensen", "Dubois")
_LEVELS = ("普通", "silver", "gold", "白金")
_CITIES = ("上海", "北京, 朝阳", "深圳", "Hong Kong", "成都", '"the Bund", 上海', "London", "Xi'an")
_PREFIXES = ("130", "135", "138", "139", "150", "158", "177", "186", "199")


def write_crm(path: Path, customers: int, bad_every: int = 0, seed: int = 7) -> None:
    """Write an export with so many customers, the same for the same seed; every so manieth line can't be taken."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        table.writerows(_rows(customers, bad_every, random.Random(seed)))


def customer_id(number: int) -> str:
    """Name one customer of an export."""
    return f"c{number:07}"


def _rows(customers: int, bad_every: int, chance: random.Random) -> Iterator[tuple[str, ...]]:
    """Yield one row for each customer."""
    for number in range(customers):
        phone = f"{chance.choice(_PREFIXES)}{number:08}"
        bad = bad_every and number % bad_every == bad_every - 1
        yield (
            customer_id(number),
            _name(chance),
            "无" if bad else phone,
            f"u{number}@example.com",
            chance.choice(_LEVELS),
            chance.choice(_CITIES),
            f"2026-{chance.randint(1, 10):02}-{chance.randint(1, 28):02} {chance.randint(8, 20):02}:00:00",
        )


def _name(chance: random.Random) -> str:
    """Return somebody's name: four in five are Chinese."""
    if chance.random() < 0.8:
        return chance.choice(_SURNAMES) + "".join(chance.choices(_GIVEN, k=chance.choice((1, 2, 2))))
    return f"{chance.choice(_WESTERN)} {chance.choice(_FAMILIES)}"
