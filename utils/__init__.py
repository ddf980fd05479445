"""Plain Python behind the nodes: no ComfyUI, no torch, nothing imported from `nodes/`.

Data flows one way, each arrow is one function:

    array -> encoded bytes -> hosted URL -> task id -> watch -> result URL -> bytes -> array
    images   fitting          hosting       client     tasks    outcomes      download  images

errors    the error family          config    profiles, secrets, state folder
contract  the API as types (pure)   service   the embedded service that speaks the same API
client    the two calls over HTTP   http_errors  what a status or a failure means, in one place
fitting   into a service's limits   outcomes  one outcome a picture
batches   pictures -> one batch     cli       the command `portrait-cartoonize`, cli_serve its `serve`
monitor   progress and Cancel       threads   work beside the caller, bounded and cancellable
backend   names -> client, host     redaction what must not reach a log or an error
"""
