"""What the makers of this folder share. Importing it reads their command line and opens ComfyUI, so it comes before
every comfy import:

    python make_NAME.py COMFYUI [--out DIRECTORY]

COMFYUI is the path of a ComfyUI source tree; Python needs torch (CPU), torchsde, numpy and safetensors. Every number
comes from these themselves on the CPU in float32. The kept files come from torch 2.6.0 with AVX-512 and ComfyUI 0.8.0.
"""
import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def arguments():
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comfyui", help="path of a ComfyUI source tree")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="default: this folder")
    return parser.parse_args()


ARGUMENTS = arguments()
sys.path.insert(0, ARGUMENTS.comfyui)
import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True
import comfy.samplers  # noqa: E402  first of those that follow: its modules import each other
import comfy.model_sampling as ms  # noqa: E402
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscreteDistilled  # noqa: E402

torch.set_num_threads(1)
torch.set_grad_enabled(False)


def write(name, tensors, metadata=None):
    ARGUMENTS.out.mkdir(parents=True, exist_ok=True)
    separate = {key: value.contiguous().clone() for key, value in tensors.items()}  # views of one tensor are refused
    save_file(separate, ARGUMENTS.out / f"{name}.safetensors", metadata=metadata)


def discrete(prediction="eps", zsnr=False):
    kinds = {"eps": ms.EPS, "v": ms.V_PREDICTION, "lcm": LCM, "x0": ms.X0, "img_to_img": ms.IMG_TO_IMG}
    base = ModelSamplingDiscreteDistilled if prediction == "lcm" else ms.ModelSamplingDiscrete

    class Discrete(base, kinds[prediction]):
        pass
    return Discrete(None, zsnr=zsnr)


def mixed(base, kind, *parameters):
    class Mixed(base, kind):
        pass
    model = Mixed(None)
    model.set_parameters(*parameters)
    return model


def model_samplings():
    return {
        "eps": discrete(), "v_zsnr": discrete("v", True), "lcm": discrete("lcm"), "x0": discrete("x0"),
        "img_to_img": discrete("img_to_img"),
        "edm": mixed(ms.ModelSamplingContinuousEDM, ms.EDM, 0.002, 120.0, 0.5),
        "edm_v": mixed(ms.ModelSamplingContinuousEDM, ms.V_PREDICTION, 0.002, 120.0, 1.0),
        "continuous_v": mixed(ms.ModelSamplingContinuousV, ms.V_PREDICTION, 0.03, 500.0, 1.0),
        "flow": mixed(ms.ModelSamplingDiscreteFlow, ms.CONST, 3.0),
        "aura": mixed(ms.ModelSamplingDiscreteFlow, ms.CONST, 1.73, 1000, 1.0),
        "flux": mixed(ms.ModelSamplingFlux, ms.CONST, 1.15),
        "cosmos": mixed(ms.ModelSamplingCosmosRFlow, ms.COSMOS_RFLOW, 0.002, 80.0, 1.0),
    }


class Model:
    """Stands where a model does for whoever asks it only for its model sampling."""

    def __init__(self, model_sampling):
        self.model_sampling = model_sampling

    def get_model_object(self, _):
        return self.model_sampling


def ksampler_sigmas(model_sampling, steps, sampler, scheduler, denoise=1.0):
    return comfy.samplers.KSampler(Model(model_sampling), steps, "cpu", sampler=sampler, scheduler=scheduler,
                                   denoise=denoise).sigmas
