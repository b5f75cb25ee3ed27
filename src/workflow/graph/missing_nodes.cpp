// Where classes that Hearth lacks come from: well-known packs by a few class names or prefixes of each, and ComfyUI's
// own nodes for what Hearth does not do, by what they are for.
#include <algorithm>
#include <array>
#include <span>

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

constexpr std::string_view kComfyUi = "https://github.com/comfyanonymous/ComfyUI";

// The nodes of ComfyUI 0.8 that are not here. tests/golden/comfyui_classes.json keeps this list whole.
constexpr std::array kOwnNodes = {
    Pack{"ControlNet, T2I-adapters and model patches", kComfyUi,
         "CLIPTextEncodeControlnet ControlNetInpaintingAliMamaApply SetUnionControlNetType LotusConditioning "
         "ModelPatchLoader QwenImageDiffsynthControlnet USOStyleReference ZImageFunControlnet ControlNetApplySD3 "
         "ControlNetApply ControlNetApplyAdvanced ControlNetLoader DiffControlNetLoader"},
    Pack{"enlarging by a model", kComfyUi, "SD_4XUpscale_Conditioning ImageUpscaleWithModel UpscaleModelLoader"},
    Pack{"models beyond the families of SD1 and SDXL", kComfyUi,
         "ChromaRadianceOptions EmptyChromaRadianceLatentImage T5TokenizerOptions CosmosImageToVideoLatent "
         "CosmosPredict2ImageToVideoLatent EmptyCosmosLatentVideo ReferenceLatent CLIPTextEncodeFlux "
         "EmptyFlux2LatentImage Flux2Scheduler FluxDisableGuidance FluxGuidance FluxKontextImageScale "
         "FluxKontextMultiReferenceLatentMethod CLIPTextEncodeHiDream QuadrupleCLIPLoader CLIPTextEncodeHunyuanDiT "
         "EmptyHunyuanImageLatent EmptyHunyuanLatentVideo EmptyHunyuanVideo15Latent HunyuanImageToVideo "
         "HunyuanRefinerLatent HunyuanVideo15ImageToVideo HunyuanVideo15LatentUpscaleWithModel "
         "HunyuanVideo15SuperResolution LatentUpscaleModelLoader TextEncodeHunyuanVideo_ImageToVideo "
         "InstructPixToPixConditioning CLIPTextEncodeKandinsky5 Kandinsky5ImageToVideo NormalizeVideoLatentStart "
         "CLIPTextEncodeLumina2 RenormCFG EmptyMochiLatentVideo ModelSamplingAuraFlow ModelSamplingFlux "
         "ModelSamplingSD3 ModelSamplingStableCascade OptimalStepsScheduler CLIPTextEncodePixArtAlpha "
         "EmptyQwenImageLayeredLatentImage TextEncodeQwenImageEdit TextEncodeQwenImageEditPlus ScaleROPE "
         "CLIPTextEncodeSD3 SkipLayerGuidanceSD3 TripleCLIPLoader SkipLayerGuidanceDiT SkipLayerGuidanceDiTSimple "
         "StableCascade_EmptyLatentImage StableCascade_StageB_Conditioning StableCascade_StageC_VAEEncode "
         "StableCascade_SuperResolutionControlnet"},
    Pack{"video", kComfyUi,
         "WanCameraEmbedding ContextWindowsManual WanContextWindowsManual ReplaceVideoLatentFrames "
         "EmptyLTXVLatentVideo LTXVAddGuide LTXVConcatAVLatent LTXVConditioning LTXVCropGuides LTXVImgToVideo "
         "LTXVImgToVideoInplace LTXVPreprocess LTXVScheduler LTXVSeparateAVLatent ModelSamplingLTXV "
         "LTXAVTextEncoderLoader LTXVAudioVAEDecode LTXVAudioVAEEncode LTXVAudioVAELoader LTXVEmptyLatentAudio "
         "LTXVLatentUpsampler wanBlockSwap CreateVideo GetVideoComponents LoadVideo SaveVideo SaveWEBM "
         "ConditioningSetAreaPercentageVideo ImageOnlyCheckpointLoader ImageOnlyCheckpointSave "
         "SVD_img2vid_Conditioning VideoLinearCFGGuidance VideoTriangleCFGGuidance TrimVideoLatent "
         "Wan22FunControlToVideo Wan22ImageToVideoLatent WanAnimateToVideo WanCameraImageToVideo "
         "WanFirstLastFrameToVideo WanFunControlToVideo WanFunInpaintToVideo WanHuMoImageToVideo WanImageToVideo "
         "WanPhantomSubjectToVideo WanSoundImageToVideo WanSoundImageToVideoExtend WanTrackToVideo WanVaceToVideo "
         "GenerateTracks WanMoveConcatTrack WanMoveTrackToVideo WanMoveTracksFromCoords WanMoveVisualizeTracks "
         "WebcamCapture"},
    Pack{"sound", kComfyUi,
         "EmptyAceStepLatentAudio TextEncodeAceStepAudio AudioAdjustVolume AudioConcat AudioMerge "
         "ConditioningStableAudio EmptyAudio EmptyLatentAudio LoadAudio PreviewAudio RecordAudio SaveAudio "
         "SaveAudioMP3 SaveAudioOpus SplitAudioChannels TrimAudioDuration VAEDecodeAudio VAEEncodeAudio "
         "AudioEncoderEncode AudioEncoderLoader"},
    Pack{"three dimensions", kComfyUi,
         "EmptyLatentHunyuan3Dv2 Hunyuan3Dv2Conditioning Hunyuan3Dv2ConditioningMultiView SaveGLB "
         "VAEDecodeHunyuan3D VoxelToMesh VoxelToMeshBasic Load3D Preview3D SV3D_Conditioning "
         "StableZero123_Conditioning StableZero123_Conditioning_Batched"},
    Pack{"training and data sets", kComfyUi,
         "AddTextPrefix AddTextSuffix AdjustBrightness AdjustContrast CenterCropImages ImageDeduplication "
         "ImageGrid LoadImageDataSetFromFolder LoadImageTextDataSetFromFolder LoadTrainingDataset "
         "MakeTrainingDataset MergeImageLists MergeTextLists NormalizeImages RandomCropImages ReplaceText "
         "ResizeImagesByLongerEdge ResizeImagesByShorterEdge ResolutionBucket SaveImageDataSetToFolder "
         "SaveImageTextDataSetToFolder SaveTrainingDataset ShuffleDataset ShuffleImageTextDataset StripWhitespace "
         "TextToLowercase TextToUppercase TruncateText LoraSave LoraModelLoader LossGraphNode SaveLoRA "
         "TrainLoraNode"},
    Pack{"mixing and saving models", kComfyUi,
         "HypernetworkLoader CLIPMergeAdd CLIPMergeSimple CLIPMergeSubtract CLIPSave CheckpointSave ModelMergeAdd "
         "ModelMergeBlocks ModelMergeSimple ModelMergeSubtract ModelSave VAESave ModelMergeAuraflow "
         "ModelMergeCosmos14B ModelMergeCosmos7B ModelMergeCosmosPredict2_14B ModelMergeCosmosPredict2_2B "
         "ModelMergeFlux1 ModelMergeLTXV ModelMergeMochiPreview ModelMergeQwenImage ModelMergeSD1 ModelMergeSD2 "
         "ModelMergeSD35_Large ModelMergeSD3_2B ModelMergeSDXL ModelMergeWAN2_1"},
    Pack{"changing attention and guidance", kComfyUi,
         "SamplerEulerCFGpp SamplerLCMUpscale APG CLIPAttentionMultiply UNetCrossAttentionMultiply "
         "UNetSelfAttentionMultiply UNetTemporalAttentionMultiply CFGNorm CFGZeroStar EasyCache LazyCache "
         "Epsilon//Scaling TemporalScoreRescaling FreeU FreeU_V2 FreSca GITSScheduler HyperTile "
         "LatentApplyOperation LatentApplyOperationCFG LatentOperationSharpen LatentOperationTonemapReinhard "
         "Mahiro PatchModelAddDownscale PerturbedAttentionGuidance PerpNeg SelfAttentionGuidance TCFG "
         "TomePatchModel"},
    Pack{"changing models in the middle of a sampling (hooks)", kComfyUi,
         "CombineHooks2 CombineHooks4 CombineHooks8 ConditioningSetDefaultCombine ConditioningSetProperties "
         "ConditioningSetPropertiesAndCombine ConditioningTimestepsRange CreateHookKeyframe "
         "CreateHookKeyframesFromFloats CreateHookKeyframesInterpolated CreateHookLora CreateHookLoraModelOnly "
         "CreateHookModelAsLora CreateHookModelAsLoraModelOnly PairConditioningCombine "
         "PairConditioningSetDefaultCombine PairConditioningSetProperties PairConditioningSetPropertiesAndCombine "
         "SetClipHooks SetHookKeyframes"},
    Pack{"settings of PyTorch", kComfyUi, "ModelComputeDtype TorchCompileModel"},
    Pack{"pictures as prompts (CLIP vision, unCLIP, style and photo models, GLIGEN)", kComfyUi,
         "PhotoMakerEncode PhotoMakerLoader CLIPVisionEncode CLIPVisionLoader GLIGENLoader GLIGENTextBoxApply "
         "StyleModelApply StyleModelLoader unCLIPCheckpointLoader unCLIPConditioning"},
    Pack{"inputs that grow", kComfyUi,
         "CustomCombo BatchImagesNode BatchLatentsNode BatchMasksNode ResizeImageMaskNode"},
    Pack{"regular expressions of Python", kComfyUi, "RegexExtract RegexMatch RegexReplace"},
    Pack{"vector drawings", kComfyUi, "SaveSVGNode"},
    Pack{"paid services of others", kComfyUi,
         "ByteDance* FluxPro* GeminiNode GeminiImage* GeminiInputFiles IdeogramV* Kling* LtxvApi* LumaConceptsNode "
         "LumaImage* "
         "LumaReferenceNode LumaVideoNode Minimax* Moonvalley* OpenAI* Pixverse* Recraft* Rodin3D_* Runway* Stability* "
         "TopazImageEnhance TopazVideoEnhance Tripo* Veo* Vidu* WanImageToImageApi WanImageToVideoApi "
         "WanReferenceVideoApi "
         "WanTextToImageApi WanTextToVideoApi"},
};

// "//" in the tables stands for a space inside a class name.
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

const Pack* pack_of(std::string_view class_name, std::span<const Pack> packs) {
  const Pack* best = nullptr;
  size_t best_length = 0;  // the longest pattern knows best: "Image//*" against "Image//Concatenate"
  for (const Pack& pack : packs) {
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
    {"PerpNeg", "PerpNegGuider"},
    {"GITSScheduler", "AlignYourStepsScheduler"},
    {"OptimalStepsScheduler", "AlignYourStepsScheduler"},
    {"SamplerEulerCFGpp", "KSamplerSelect"},
    {"ConditioningTimestepsRange", "ConditioningSetTimestepRange"},
    {"PairConditioningCombine", "ConditioningCombine"},
    {"CLIPTextEncodeControlnet", "CLIPTextEncode"},
    {"CLIPTextEncodeFlux", "CLIPTextEncode"},
    {"CLIPTextEncodeSD3", "CLIPTextEncode"},
    {"TripleCLIPLoader", "DualCLIPLoader"},
    {"ImageOnlyCheckpointLoader", "CheckpointLoaderSimple"},
    {"unCLIPCheckpointLoader", "CheckpointLoaderSimple"},
    {"LoraModelLoader", "LoraLoaderModelOnly"},
    {"ImageUpscaleWithModel", "ImageScaleBy"},
    {"ResizeImageMaskNode", "ImageScale"},
    {"ResizeImagesByLongerEdge", "ImageScaleToMaxDimension"},
    {"CenterCropImages", "ImageCrop"},
    {"ImageGrid", "ImageStitch"},
    {"BatchImagesNode", "ImageBatch"},
    {"BatchLatentsNode", "LatentBatch"},
    {"SaveVideo", "SaveAnimatedWEBP"},
    {"SaveWEBM", "SaveAnimatedWEBP"},
    {"RegexReplace", "StringReplace"},
    {"RegexMatch", "StringContains"},
    {"RegexExtract", "StringSubstring"},
    {"ReplaceText", "StringReplace"},
    {"StripWhitespace", "StringTrim"},
    {"TextToLowercase", "CaseConverter"},
    {"TextToUppercase", "CaseConverter"},
    {"TruncateText", "StringSubstring"},
};

}  // namespace

MissingClass describe_missing(std::string_view class_name, const Registry& registry) {
  MissingClass missing;
  const Pack* own = pack_of(class_name, kOwnNodes);
  if (own) {
    missing.pack = "ComfyUI";
    missing.purpose = own->name;
    missing.url = own->url;
  } else if (const Pack* pack = pack_of(class_name, kPacks)) {
    missing.pack = pack->name;
    missing.url = pack->url;
  }
  for (const auto& [foreign, native] : kStandIns) {
    if (class_name == foreign && registry.find(native)) missing.nearest = native;
  }
  // A class that is known to be of ComfyUI is no misspelling of another.
  if (!missing.nearest.empty() || own || class_name.size() > 200) return missing;
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
