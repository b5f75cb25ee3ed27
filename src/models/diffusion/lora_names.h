// The names LoRA files of various programs (kohya's trainers, diffusers, PEFT, SimpleTuner, ComfyUI) have for the
// weights of a UNet and of its text encoders.
#pragma once
#include "models/diffusion/detect.h"
#include "models/load/lora.h"

namespace hearth {

/// "lora_unet_input_blocks_4_1_..." , "lora_unet_down_blocks_1_attentions_0_...", "unet.down_blocks.1...to_q",
/// "...processor.to_q" and the like.
LoraNames unet_lora_names(const PicturePart<UnetConfig>& unet);

/// Of text encoder `index` of a checkpoint with `count` of them: "lora_te_", "lora_te1_" and "text_encoder." name the
/// first, "lora_te2_" and "text_encoder_2." the second.
LoraNames text_lora_names(const PicturePart<ClipConfig>& encoder, size_t index, size_t count);

}  // namespace hearth
