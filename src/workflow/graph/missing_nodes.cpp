// Where classes that Hearth lacks come from. Facts about well-known packs: a few class names or prefixes of each.
#include <algorithm>
#include <array>

#include "core/base/nearest.h"
#include "workflow/graph/validate.h"

namespace hearth::workflow {
namespace {

struct Pack {
  std::string_view name, url;
  std::string_view classes;  // separated by spaces; a trailing * is a prefix, a leading * a suffix
};

constexpr std::array kPacks = {
    Pack{"ComfyUI Impact Pack", "https://github.com/ltdrdata/ComfyUI-Impact-Pack",
         "FaceDetailer* Detailer* SEGS* Impact* UltralyticsDetectorProvider SAMLoader SAMDetector* BboxDetector* "
         "SegmDetector* BasicPipe* ToBasicPipe FromBasicPipe* ToDetailerPipe* FromDetailerPipe* MaskToSEGS* "
         "PreviewDetailerHook* ReencodeLatent* IterativeLatentUpscale IterativeImageUpscale PixelKSampleUpscaler* "
         "NoiseInjection* KSamplerProvider TwoSamplersForMask* CLIPSegDetectorProvider"},
    Pack{"ComfyUI Inspire Pack", "https://github.com/ltdrdata/ComfyUI-Inspire-Pack",
         "*//Inspire KSamplerPipe* GlobalSeed* SeedExplorer* WildcardEncode*"},
    Pack{"ComfyUI IPAdapter plus", "https://github.com/cubiq/ComfyUI_IPAdapter_plus",
         "IPAdapter* IPAAdapter* PrepImageForClipVision PrepImageForInsightFace"},
    Pack{"rgthree-comfy", "https://github.com/rgthree/rgthree-comfy", "*(rgthree)"},
    Pack{"WAS Node Suite", "https://github.com/WASasquatch/was-node-suite-comfyui",
         "Image//* Text//* Mask//* Number//* CLIPTextEncode//(NSP) Load//Image//Batch Seed Random//Number "
         "Upscale//Model//Loader Logic//* Latent//Noise//Injection Checkpoint//Loader//(Simple) "
         "KSampler//(WAS) Lora//Loader VAE//Input//Switch"},
    Pack{"Efficiency Nodes", "https://github.com/jags111/efficiency-nodes-comfyui",
         "Efficient//Loader Eff.//Loader//SDXL KSampler//(Efficient) KSampler//Adv.//(Efficient) "
         "KSampler//SDXL//(Eff.) XY//Plot XY//Input:* LoRA//Stacker LoRA//Stack//to//String//converter "
         "Control//Net//Stacker Apply//ControlNet//Stack Unpack//SDXL//Tuple Pack//SDXL//Tuple HighRes-Fix//Script "
         "Noise//Control//Script Tiled//Upscaler//Script"},
    Pack{"ComfyUI's ControlNet Auxiliary Preprocessors", "https://github.com/Fannovel16/comfyui_controlnet_aux",
         "*Preprocessor AIO_Preprocessor *Preprocessor_Provider_for_SEGS PixelPerfectResolution HintImageEnchance "
         "ExecuteAllControlNetPreprocessors ControlNetAuxSimpleAddText RenderPeopleKps SavePoseKpsAsJsonFile"},
    Pack{"AnimateDiff Evolved", "https://github.com/Kosinkadink/ComfyUI-AnimateDiff-Evolved",
         "ADE_* AnimateDiffLoaderV1 CheckpointLoaderSimpleWithNoiseSelect AnimateDiffModuleLoader"},
    Pack{"ComfyUI Advanced ControlNet", "https://github.com/Kosinkadink/ComfyUI-Advanced-ControlNet",
         "ACN_* ControlNetLoaderAdvanced DiffControlNetLoaderAdvanced ScaledSoftControlNetWeights "
         "ControlNetApply_Advanced LatentKeyframe* TimestepKeyframe*"},
    Pack{"ComfyUI VideoHelperSuite", "https://github.com/Kosinkadink/ComfyUI-VideoHelperSuite", "VHS_*"},
    Pack{"KJNodes", "https://github.com/kijai/ComfyUI-KJNodes",
         "*KJ *KJv2 GetNode SetNode ColorMatch GrowMaskWithBlur ImageResizeKJ* INTConstant FloatConstant "
         "StringConstant StringConstantMultiline ConditioningSetMaskAndCombine* WidgetToString AddLabel "
         "ImageConcanate ImageConcatMulti CreateTextMask CreateGradientMask ResizeMask SplineEditor "
         "EmptyLatentImagePresets "
         "GetImageRangeFromBatch ImageGridComposite2x2 ImageGridComposite3x3 SomethingToString ImageBatchMulti"},
    Pack{"ComfyUI Essentials", "https://github.com/cubiq/ComfyUI_essentials",
         "*+ *//essentials MaskBlur+ KSamplerVariations* SDXLEmptyLatentSizePicker+ SimpleMath+"},
    Pack{"Ultimate SD Upscale", "https://github.com/ssitu/ComfyUI_UltimateSDUpscale", "UltimateSDUpscale*"},
    Pack{"ComfyUI-GGUF", "https://github.com/city96/ComfyUI-GGUF",
         "UnetLoaderGGUF* CLIPLoaderGGUF DualCLIPLoaderGGUF TripleCLIPLoaderGGUF QuadrupleCLIPLoaderGGUF"},
    Pack{"ComfyUI Custom Scripts", "https://github.com/pythongosssss/ComfyUI-Custom-Scripts",
         "*|pysssss MathExpression|pysssss"},
    Pack{"Comfyroll Studio", "https://github.com/Suzie1/ComfyUI_Comfyroll_CustomNodes", "CR//*"},
    Pack{"ComfyUI Easy Use", "https://github.com/yolain/ComfyUI-Easy-Use", "easy//*"},
    Pack{"tinyterraNodes", "https://github.com/TinyTerra/ComfyUI_tinyterraNodes", "ttN//*"},
    Pack{"ComfyUI ReActor", "https://github.com/Gourieff/ComfyUI-ReActor", "ReActor*"},
    Pack{"ComfyUI LayerStyle", "https://github.com/chflame163/ComfyUI_LayerStyle",
         "LayerUtility:* LayerMask:* "
         "LayerColor:* LayerFilter:* LayerStyle:*"},
    Pack{"ComfyUI Segment Anything", "https://github.com/storyicon/comfyui_segment_anything",
         "GroundingDinoModelLoader* GroundingDinoSAMSegment* SAMModelLoader* InvertMask//(segment//anything)"},
    Pack{"Masquerade Nodes", "https://github.com/BadCafeCode/masquerade-nodes-comfyui",
         "Mask//By//Text Mask//Morphology Combine//Masks Cut//By//Mask Paste//By//Mask Create//Rect//Mask Blur"},
    Pack{"ComfyUI InstantID", "https://github.com/cubiq/ComfyUI_InstantID",
         "InstantID* ApplyInstantID* "
         "FaceKeypointsPreprocessor"},
    Pack{"ComfyUI tooling nodes", "https://github.com/Acly/comfyui-tooling-nodes", "ETN_*"},
    Pack{"ComfyUI Inpaint Nodes", "https://github.com/Acly/comfyui-inpaint-nodes", "INPAINT_*"},
    Pack{"ComfyUI Frame Interpolation", "https://github.com/Fannovel16/ComfyUI-Frame-Interpolation", "*//VFI"},
    Pack{"WanVideoWrapper", "https://github.com/kijai/ComfyUI-WanVideoWrapper", "WanVideo*"},
    Pack{"ComfyUI Florence2", "https://github.com/kijai/ComfyUI-Florence2", "*Florence2* Florence2*"},
    Pack{"ComfyUI SUPIR", "https://github.com/kijai/ComfyUI-SUPIR", "SUPIR_*"},
    Pack{"cg-use-everywhere", "https://github.com/chrisgoringe/cg-use-everywhere",
         "Anything//Everywhere* "
         "Seed//Everywhere Prompts//Everywhere"},
    Pack{"Derfuu Modded Nodes", "https://github.com/Derfuu/Derfuu_ComfyUI_ModdedNodes", "DF_*"},
    Pack{"ComfyUI Art Venture", "https://github.com/sipherxyz/comfyui-art-venture",
         "AV_* LoadImageFromUrl "
         "LoadImageAsMaskFromUrl StringToInt StringToNumber"},
};

// "//" in the table stands for a space inside a class name.
std::string spelled(std::string_view pattern) {
  std::string out(pattern);
  for (size_t at; (at = out.find("//")) != std::string::npos;) out.replace(at, 2, " ");
  return out;
}

bool matches(std::string_view pattern, std::string_view name) {
  std::string wanted = spelled(pattern);
  bool any_start = wanted.starts_with('*'), any_end = wanted.ends_with('*');
  std::string_view core = std::string_view(wanted).substr(any_start, wanted.size() - any_start - any_end);
  if (any_start && any_end) return name.find(core) != std::string_view::npos;
  if (any_start) return name.ends_with(core);
  return any_end ? name.starts_with(core) : name == core;
}

const Pack* pack_of(std::string_view class_name) {
  const Pack* best = nullptr;
  size_t best_length = 0;  // the longest pattern knows best: "Image//*" against "Image//Concatenate"
  for (const Pack& pack : kPacks) {
    std::string_view rest = pack.classes;
    while (!rest.empty()) {
      size_t end = std::min(rest.find(' '), rest.size());
      std::string_view pattern = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (pattern.size() > best_length && matches(pattern, class_name)) {
        best = &pack;
        best_length = pattern.size();
      }
    }
  }
  return best;
}

// What native nodes do the work of others under another name.
constexpr std::pair<std::string_view, std::string_view> kStandIns[] = {
    {"Efficient Loader", "CheckpointLoaderSimple"},
    {"KSampler (Efficient)", "KSampler"},
    {"KSampler Adv. (Efficient)", "KSamplerAdvanced"},
    {"KSampler SDXL (Eff.)", "KSampler"},
    {"Power Lora Loader (rgthree)", "LoraLoader"},
    {"Lora Loader Stack (rgthree)", "LoraLoader"},
    {"LoRA Stacker", "LoraLoader"},
    {"CR LoRA Stack", "LoraLoader"},
    {"Image Comparer (rgthree)", "PreviewImage"},
    {"Seed (rgthree)", "PrimitiveInt"},
    {"INTConstant", "PrimitiveInt"},
    {"FloatConstant", "PrimitiveFloat"},
    {"StringConstant", "PrimitiveString"},
    {"StringConstantMultiline", "PrimitiveStringMultiline"},
    {"ImageResize+", "ImageScale"},
    {"ImageResizeKJ", "ImageScale"},
    {"Image Resize", "ImageScale"},
    {"Image Save", "SaveImage"},
    {"Image Blend", "ImageBlend"},
    {"GrowMaskWithBlur", "GrowMask"},
    {"MaskPreview+", "MaskPreview"},
    {"UnetLoaderGGUF", "UNETLoader"},
    {"CLIPLoaderGGUF", "CLIPLoader"},
    {"DualCLIPLoaderGGUF", "DualCLIPLoader"},
    {"CheckpointLoader|pysssss", "CheckpointLoaderSimple"},
    {"LoraLoader|pysssss", "LoraLoader"},
    {"ShowText|pysssss", "PreviewAny"},
    {"BNK_CLIPTextEncodeAdvanced", "CLIPTextEncode"},
    {"smZ CLIPTextEncode", "CLIPTextEncode"},
    {"ETN_LoadImageBase64", "LoadImage"},
    {"ETN_SendImageWebSocket", "SaveImageWebsocket"},
};

}  // namespace

MissingClass describe_missing(std::string_view class_name, const Registry& registry) {
  MissingClass missing;
  if (const Pack* pack = pack_of(class_name)) {
    missing.pack = pack->name;
    missing.url = pack->url;
  }
  for (const auto& [foreign, native] : kStandIns) {
    if (class_name == foreign && registry.find(native)) missing.nearest = native;
  }
  if (!missing.nearest.empty() || class_name.size() > 200) return missing;
  std::vector<std::string> names;
  for (const NodeType* type : registry.all()) names.push_back(type->class_name);
  missing.nearest = nearest_name(class_name, names);
  return missing;
}

std::vector<std::string> missing_classes(const Graph& graph, const Registry& registry) {
  std::vector<std::string> missing;
  for (const std::string& id : graph.ids()) {
    std::string name = graph.class_of(id);
    bool is_known = registry.find(name) || std::find(missing.begin(), missing.end(), name) != missing.end();
    if (!is_known) missing.push_back(name);
  }
  return missing;
}

}  // namespace hearth::workflow
