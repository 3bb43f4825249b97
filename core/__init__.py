"""What every part of Darkroom stands on: settings, errors, logs, metrics, traces, processes."""
