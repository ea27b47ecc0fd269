//! The room `telemetry/`: to be filled.
