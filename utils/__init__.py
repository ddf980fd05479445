"""Plain Python behind the nodes: no ComfyUI, no torch, nothing imported from `nodes/`.

Data flows one way, each arrow is one function:

    array -> encoded bytes -> hosted URL -> (journal) -> task id -> watch -> result URL -> bytes -> array
    images   fitting          hosting       journal      client     tasks    pictures      results  images

errors     the error family          config       profiles, secrets, state folder
contract   the API as types (pure)   service      the embedded service that speaks the same API
client     the two calls over HTTP   http_errors  what a status or a failure means, in one place
fitting    into a service's limits   batches      pictures -> one batch
work       what work is, its key     references   a task as a line of text
submission links -> tasks            sending      one work -> its task, paid for once
journal    what was sent, answered   records      its records and what they allow (pure)
rows       rows <-> records (pure)   links        what a link says of itself (pure)
hosting    where an image gets a URL reachability links on trial, before anything is paid
addresses  which may be fetched      download     the only place that fetches a URL
patience   trying again              embedded     the embedded service of this process
database   a SQLite file, shared     locks        one sender at a time
collection tasks -> outcomes         alignment    which result is whose (pure)
pictures   fetching a result         results      finished pictures, kept as bytes
outcomes   one an input picture      report       the same as JSON
retry      only the failed ones      memory       what this machine knows of tasks
monitor    progress and Cancel       threads      work beside the caller, bounded and cancellable
backend    names -> client, host     redaction    what must not reach a log or an error
secret     keys that hide            private_files for their owner only
cli        the command (cli_tasks, cli_hosts, cli_serve: its parts; terminal, picture_files: what they share)
"""
