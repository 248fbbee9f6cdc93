"""What an ingest has read becomes current: three datasets, in the order in which readers need them."""

from collections.abc import Mapping

import pyarrow as pa

from pipeline.datasets.contract import FLAGS, PRICES, QUARANTINE, SYMBOLS
from pipeline.datasets.croissant import write_description
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.store import Draft, Version
from pipeline.ingest.ledger import Ingested


def publish_ingested(
    ingested: Ingested, prices: Draft, symbols: Draft, quarantine: Draft, parameters: Mapping[str, object]
) -> dict[str, Version]:
    """Publish the three datasets, `prices` last: who sees new prices finds their symbols and their quarantine.

    Raises LockedError if this process has no right to publish.
    """
    ledger = ingested.ledger
    table = pa.Table.from_pandas(ledger[SYMBOLS.names], schema=SYMBOLS, preserve_index=False)
    listing = keep_attempts(symbols.attempts, [write_attempt(table, symbols.attempts)])
    # A dataset without rows still has a part, so that every reader finds its schema.
    nothing = QUARANTINE.empty_table()
    refused = ingested.quarantine or keep_attempts(quarantine.attempts, [write_attempt(nothing, quarantine.attempts)])
    flags = {"flags": {name: int(ledger[name].sum()) for name in FLAGS}}
    warnings = {"warnings": list(ingested.warnings)}
    inputs = {"source": ingested.source_fingerprint}
    write_description(prices.path, "prices", PRICES)
    return {
        "quarantine": quarantine.publish(refused, schema=QUARANTINE, parameters=parameters, inputs=inputs),
        "symbols": symbols.publish(listing, schema=SYMBOLS, parameters=parameters, inputs=inputs, extra=warnings),
        "prices": prices.publish(ingested.prices, schema=PRICES, parameters=parameters, inputs=inputs, extra=flags),
    }
