"""The flows of captures on Ray or Dask: the same slices as for Spark.

    pip install '.[arrow]' 'dask[distributed]'
    python examples/clusters.py dask captures/ --tasks 8 -o flows.parquet

With `local` the tasks are processes of this machine, and nothing else is needed.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from joyfuljay import Config, slices

CONFIG = Config(features=["flow_meta", "timing", "size", "tcp"])


def rows(piece):
    """The work of one task."""
    return pa.concat_tables([pa.table(table) for table in slices.read(piece, CONFIG)])


def on_ray(pieces):
    import ray

    ray.init(include_dashboard=False)
    task = ray.remote(rows)
    return ray.get([task.remote(piece) for piece in pieces])


def on_dask(pieces):
    from dask.distributed import Client, LocalCluster

    with LocalCluster(threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
        return client.gather(client.map(rows, pieces))


def on_this_machine(pieces):
    with ProcessPoolExecutor() as pool:
        return list(pool.map(rows, pieces))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=["ray", "dask", "local"])
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("-o", "--output", default="flows.parquet")
    options = parser.parse_args()
    pieces = slices.plan(options.captures, options.tasks, CONFIG)
    run = {"ray": on_ray, "dask": on_dask, "local": on_this_machine}[options.where]
    flows = pa.concat_tables(run(pieces))
    pq.write_table(flows, options.output)
    print(f"{flows.num_rows} flows of {len(pieces)} tasks in {options.output}")


if __name__ == "__main__":
    main()
