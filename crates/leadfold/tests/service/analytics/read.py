"""Reads the analytics files with DuckDB, pandas and Polars, and prints what each counts, as JSON.

Only the newest row of a lead counts, and only the newest of an interaction; the manifest says which files there are.
"""

import json
import sys
from pathlib import Path

import duckdb
import pandas
import polars

folder = Path(sys.argv[1])
manifest = json.loads((folder / "manifest.json").read_text())


def files(table):
    return [str(folder / entry["name"]) for entry in manifest["files"] if entry["table"] == table]


def by_duckdb():
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    newest = """
        create view {table} as select * exclude (newest) from (
            select *, row_number() over (partition by {key} order by file_row_order desc) as newest from (
                select *, {place} as file_row_order from read_parquet({files}, filename = true, file_row_number = true)
            )
        ) where newest = 1
    """
    for table, key in [("leads", "lead_id"), ("interactions", "interaction_id")]:
        names = files(table)
        place = "list_position({}, filename) * 10000000000 + file_row_number".format(names)
        connection.execute(newest.format(table=table, key=key, files=names, place=place))
    sums = connection.execute(
        "select lead_type, count(*), sum(conversions), sum(sale_value) from leads group by 1 order by 1"
    ).fetchall()
    days = connection.execute(
        "select strftime(timezone('Europe/Berlin', \"at\"), '%Y-%m-%d') as day, count(*) from interactions"
        " group by 1 order by 1"
    ).fetchall()
    return sums, days


def newest_of(table, key):
    frames = [pandas.read_parquet(name) for name in files(table)]
    return pandas.concat(frames, ignore_index=True).drop_duplicates(key, keep="last")


def by_pandas():
    leads = newest_of("leads", "lead_id")
    leads["lead_type"] = leads["lead_type"].astype(str)
    groups = leads.groupby("lead_type").agg(
        many=("lead_id", "count"), conversions=("conversions", "sum"), value=("sale_value", lambda it: it.sum(min_count=1))
    )
    sums = [(name, row.many, row.conversions, row.value) for name, row in groups.sort_index().iterrows()]
    at = newest_of("interactions", "interaction_id")["at"]
    days = at.dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m-%d").value_counts().sort_index()
    return sums, list(days.items())


def by_polars():
    def newest(table, key):
        frames = [polars.read_parquet(name) for name in files(table)]
        return polars.concat(frames, how="vertical_relaxed").unique(key, keep="last", maintain_order=True)

    leads = newest("leads", "lead_id").with_columns(polars.col("lead_type").cast(polars.String))
    groups = leads.group_by("lead_type").agg(
        polars.len(),
        polars.col("conversions").sum(),
        polars.when(polars.col("sale_value").count() > 0).then(polars.col("sale_value").sum()).alias("value"),
    )
    at = newest("interactions", "interaction_id")["at"].dt.convert_time_zone("Europe/Berlin")
    days = at.dt.strftime("%Y-%m-%d").value_counts(sort=False).sort("at")
    return groups.sort("lead_type").rows(), days.rows()


def plain(rows):
    number = lambda value: None if value is None or value != value else int(value)
    return [[row[0]] + [number(value) for value in row[1:]] for row in rows]


found = {}
for name, read in [("duckdb", by_duckdb), ("pandas", by_pandas), ("polars", by_polars)]:
    sums, days = read()
    found[name] = {"sums": plain(sums), "days": plain(days)}
print(json.dumps(found))
