"""The gate `privilege` in a deployment to PostgreSQL: after the migrations, by roles."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import LAMP, AppHouse

from surefoot.testing.postgres import PostgresServer

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

ROLE = "lamp_reader"
SQLITE = "    targets: {databases: {main: {engine: sqlite}}}\n"
DECLARED = f"""\
    privilege:
      databases:
        main:
          roles:
            {ROLE}: {{may: {{lamp: [select]}}, must_not: ["delete from lamp"]}}
"""


def test_a_role_with_more_than_declared_stops_a_deployment(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    address = postgres_server.dsn("lamp_privilege")
    target = f'    targets: {{databases: {{main: {{engine: postgresql, address: "{address}"}}}}}}\n'
    text = LAMP.replace("pipeline:\n", "pipeline:\n  deploy: [privilege]\n")
    house = AppHouse(tmp_path, text.replace(SQLITE, target + DECLARED, 1))
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as server:
        server.execute(f"CREATE ROLE {ROLE}")
        try:
            house.set_up()
            house.release("1.0.0")
            assert house.carry(house.request("dev", release="1.0.0")) == "succeeded"
            with psycopg.connect(address, autocommit=True) as db:
                db.execute(f"GRANT DELETE ON lamp TO {ROLE}")
            number = house.request("dev", release="1.0.0")
            assert house.carry(number) != "succeeded"
            shown = house.call("deployment show", "ann", number=number)
            step = next(step for step in shown["steps"] if step["action"] == "privilege")
            assert step["status"] == "failed"
            assert f"the role {ROLE} of main may delete in public.lamp" in step["cause"]
            # The other finding is the statement that was not refused.
            assert "(and 1 more)" in step["cause"]
        finally:
            with psycopg.connect(address, autocommit=True) as db:
                db.execute(f"DROP OWNED BY {ROLE}")
            server.execute(f"DROP ROLE {ROLE}")
            house.close()
