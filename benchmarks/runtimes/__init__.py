"""What each runtime takes to export, to run and to keep each kind of network, and how it errs.

`make bench-runtimes` measures what `results.jsonl` lacks, each case in a fresh process, and writes
`results.md`.

Latency is thread CPU time on one thread, in interleaved pairs with the reference network in ONNX
Runtime, whatever the candidate's runtime is (`workers.measurement.latency`): what else runs on the
machine slows both of a pair. In milliseconds it is the pairs' median ratio times what the reference
takes by itself. Export is CPU seconds from the module to the file, of a process's first export, the
exporter's own processes and compilers included, imports not.
"""
