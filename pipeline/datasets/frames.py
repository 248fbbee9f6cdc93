"""The parts of a dataset as a Spark DataFrame."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from pipeline.datasets.objects import ObjectPath
from pipeline.datasets.places import Place, open_parquet

BATCH_ROWS = 100_000


def read_frame(spark: SparkSession, folder: Place, names: Sequence[str]) -> DataFrame:
    """The rows of the Parquet files of these names in a folder, which holds no others."""
    if isinstance(folder, ObjectPath):
        return read_objects(spark, [folder / name for name in names])
    place = f"file:{folder.resolve()}"  # a cluster's configuration may take plain paths for HDFS's
    return spark.read.option("pathGlobFilter", "*.parquet").parquet(place)


def read_objects(spark: SparkSession, parts: Sequence[ObjectPath]) -> DataFrame:
    """The same from a store. Spark would need files of Java's for that: here a task fetches a part by our client."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                for rows in open_parquet(parts[number]).iter_batches(BATCH_ROWS):
                    yield decode(rows)

    columns = open_parquet(parts[0]).schema_arrow
    plain = pa.schema([field.with_type(field.type.value_type) if is_coded(field) else field for field in columns])
    schema: StructType = from_arrow_schema(plain)
    return spark.range(0, len(parts), 1, len(parts)).mapInArrow(read, schema)


def decode(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows without dictionaries, of which Spark's reader of Arrow knows nothing."""
    columns = [
        column.dictionary_decode() if is_coded(field) else column
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, rows.schema.names)


def is_coded(field: pa.Field) -> bool:
    coded: bool = pa.types.is_dictionary(field.type)
    return coded
