"""Where rows go besides files."""

from typing import TYPE_CHECKING

from .kafka import KafkaDeliveryError, KafkaWriter, is_kafka_available, to_kafka

__all__ = ["KafkaDeliveryError", "KafkaWriter", "is_kafka_available", "to_kafka"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .._gone import gone, gone_modules
    from .database import ADVICE as _DATABASE

    _FILE = "Pipeline.process_pcap_streaming(path, output_path) writes csv, json, parquet and arrow"
    _ROWS = "Pipeline.process_pcap(path, output_format) gives rows in this form"
    __getattr__ = gone(
        __name__,
        {
            **dict.fromkeys(("StreamingWriter", "to_csv", "to_csv_stream", "to_json", "to_json_stream", "to_parquet"), _FILE),
            **dict.fromkeys(("to_dataframe", "to_numpy"), _ROWS),
            **dict.fromkeys(("DatabaseWriter", "detect_database_backend", "to_database"), _DATABASE),
            "is_parquet_available": "Parquet is written natively, always",
        },
    )
    gone_modules(__name__, {"formats": f"{_FILE}; {_ROWS}", "schema": "see joyfuljay.schema"})
