"""Write a randomly initialised Stable Diffusion 1.5 checkpoint, and a ControlNet, for tests: nothing is downloaded.

    python comfyui_checkpoint.py COMFYUI_PATH OUT.safetensors [--controlnet OUT.safetensors] [--full] [--seed N]

ComfyUI's own classes give every key and shape; the weights are seeded random numbers in fp16.
ComfyUI tells SD1.5 by model_channels=320 and context_dim=768 and reads depth and widths off the
shapes. So the default is SD1.5's layout with 320 channels at every level; --full has the real widths.
"""

import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("comfyui", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--controlnet", type=Path, help="where to write a ControlNet for it, too")
parser.add_argument("--full", action="store_true", help="2.1 GB instead of 0.6")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
sys.path.insert(0, str(args.comfyui.resolve()))

import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True  # before the rest of comfy looks for a GPU

import comfy.cldm.cldm  # noqa: E402
import comfy.clip_model  # noqa: E402
import comfy.ops  # noqa: E402
import torch  # noqa: E402
from comfy.ldm.models.autoencoder import AutoencoderKL  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

unet = dict(
    image_size=32,
    in_channels=4,
    out_channels=4,
    model_channels=320,
    context_dim=768,
    num_res_blocks=[2, 2, 2, 2],
    channel_mult=[1, 2, 4, 4] if args.full else [1, 1, 1, 1],
    transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
    transformer_depth_middle=1,
    transformer_depth_output=[1] * 9 + [0] * 3,
    num_heads=8,
    legacy=False,
    use_spatial_transformer=True,
    use_linear_in_transformer=False,
    dropout=0,
)
vae = dict(
    double_z=True,
    z_channels=4,
    resolution=256,
    in_channels=3,
    out_ch=3,
    ch=128,
    ch_mult=[1, 2, 4, 4],
    num_res_blocks=2,
    attn_resolutions=[],
    dropout=0.0,
)
clip = json.loads(Path(comfy.clip_model.__file__).with_name("sd1_clip_config.json").read_text())

with torch.device("meta"):  # shapes only, no memory
    parts = {  # by their prefixes in an SD1.5 file
        "model.diffusion_model.": UNetModel(**unet),
        "first_stage_model.": AutoencoderKL(ddconfig=vae, embed_dim=4),
        "cond_stage_model.transformer.text_model.": comfy.clip_model.CLIPTextModel(
            clip, torch.float16, "meta", comfy.ops.disable_weight_init
        ).text_model,
    }
    hint = {"control_model.": comfy.cldm.cldm.ControlNet(hint_channels=3, **unet)}


def save(parts: dict[str, torch.nn.Module], out: Path) -> None:
    """Write random weights of the shapes of the parts."""
    generator = torch.Generator().manual_seed(args.seed)
    weights = {}
    for prefix, part in parts.items():
        for name, like in part.state_dict().items():
            if like.ndim < 2:  # biases 0; the only 1-D weights are those of norms: 1
                value = torch.full(like.shape, float(name.endswith("weight")))
            elif "embedding" in name:  # CLIP's own initialisation
                value = torch.randn(like.shape, generator=generator) * 0.02
            else:  # keeps the size of the signal, so that fp16 never overflows
                value = torch.randn(like.shape, generator=generator) * like[0].numel() ** -0.5
            weights[prefix + name] = value.half()
    save_file(weights, out, metadata={"format": "pt"})
    print(f"{out}: {len(weights)} tensors, {out.stat().st_size / 1e6:.0f} MB")  # noqa: T201  # a script


save(parts, args.out)
if args.controlnet:
    save(hint, args.controlnet)
