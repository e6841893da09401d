"""Where rows go besides files."""

from typing import TYPE_CHECKING

from .database import DatabaseWriter, detect_database_backend, to_database
from .kafka import KafkaDeliveryError, KafkaWriter, is_kafka_available, to_kafka

__all__ = [
    "DatabaseWriter",
    "KafkaDeliveryError",
    "KafkaWriter",
    "detect_database_backend",
    "is_kafka_available",
    "to_database",
    "to_kafka",
]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .._gone import gone, gone_modules

    _FILE = "Pipeline.process_pcap_streaming(path, output_path) writes csv, json, parquet and arrow"
    _ROWS = "Pipeline.process_pcap(path, output_format) gives rows in this form"
    __getattr__ = gone(
        __name__,
        {
            **dict.fromkeys(("StreamingWriter", "to_csv", "to_csv_stream", "to_json", "to_json_stream", "to_parquet"), _FILE),
            **dict.fromkeys(("to_dataframe", "to_numpy"), _ROWS),
            "is_parquet_available": "Parquet is written natively, always",
        },
    )
    gone_modules(__name__, {"formats": f"{_FILE}; {_ROWS}", "schema": "see joyfuljay.schema"})
