"""A description of a published dataset that machines read: Croissant, the vocabulary of dataset search and of loaders.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

FILE = "croissant.json"

# Of the specification: what its terms mean, as every description must say.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {"date32[day]": "sc:Date", "double": "sc:Float", "int64": "sc:Integer", "string": "sc:Text"}
ABOUT = {
    "prices": "Daily prices and volumes of US stocks and ETFs: one row per symbol and trading day, sorted by both.",
    "features": "Daily prices and volumes of US stocks and ETFs with two rolling features per symbol.",
}
COLUMNS = {
    "Symbol": "ticker symbol",
    "Security Name": "name of the security; null where the listing does not know the symbol",
    "Date": "trading day",
    "Open": "first price of the day, dollars",
    "High": "highest price of the day, dollars",
    "Low": "lowest price of the day, dollars",
    "Close": "last price of the day, dollars, adjusted for splits",
    "Adj Close": "last price of the day, dollars, adjusted for splits and dividends",
    "Volume": "shares traded on the day",
    "vol_moving_avg": "mean of Volume over the window, shares; null until the window is full",
    "adj_close_rolling_med": "median of Adj Close over the window, dollars; null until the window is full",
}


def write_description(folder: Path, dataset: str, schema: pa.Schema) -> None:
    """Lay the description beside the parts that are about to be published. dataset: a key of ABOUT."""
    (folder / FILE).write_text(json.dumps(describe(dataset, schema), indent=1) + "\n")


def describe(dataset: str, schema: pa.Schema) -> dict[str, Any]:
    """The description of a version, as it lies in the folder of its parts. dataset: a key of ABOUT.

    It does not list the parts, whose names, rows and checksums the manifest has.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset,
        "description": ABOUT[dataset],
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": "parts",
                "name": "parts",
                "includes": "part-*.parquet",
                "encodingFormat": "application/x-parquet",
            }
        ],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": [describe_column(one) for one in schema]}
        ],
    }


def describe_column(column: pa.Field) -> dict[str, Any]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return {
        "@type": "cr:Field",
        "@id": f"rows/{column.name.replace(' ', '_')}",  # readers take no spaces in it
        "name": column.name,
        "description": COLUMNS[column.name],
        "dataType": TYPES[str(kind)],
        "source": {"fileSet": {"@id": "parts"}, "extract": {"column": column.name}},
    }
