// Rows 51 to 53: the link between two or more machines.
#include <algorithm>
#include <map>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

constexpr const char* kFolder = "/sys/class/infiniband";

// One function of the network card. A GB10's socket shows as two: rocep1s0f0 and roceP2p1s0f0.
struct Half {
  std::string device, network;
  bool is_active = false, has_address = false;
  int64_t mtu = 0;
};

std::vector<Half> halves(const Context& context) {
  std::vector<Half> found;
  for (const std::string& device : context.root().names(kFolder)) {
    const std::string folder = std::string(kFolder) + "/" + device;
    Half half{.device = device};
    half.is_active = contains(context.root().text(folder + "/ports/1/state").value_or(""), "ACTIVE");
    const std::vector<std::string> networks = context.root().names(folder + "/device/net");
    half.network = networks.empty() ? "" : networks[0];
    for (const Interface& network : context.interfaces()) {
      if (network.name != half.network) continue;
      half.mtu = network.mtu;
      half.has_address = !network.addresses.empty();
    }
    found.push_back(std::move(half));
  }
  return found;
}

// "f0" of rocep1s0f0: halves of one socket end alike.
std::string socket_of(const Half& half) {
  const size_t f = half.device.rfind('f');
  return f == half.device.npos ? half.device : half.device.substr(f);
}

// Halves of sockets that are in use: of which at least one half is up.
std::vector<Half> used_halves(const std::vector<Half>& all) {
  std::vector<Half> used;
  std::ranges::copy_if(all, std::back_inserter(used), [&](const Half& half) {
    return std::ranges::any_of(
        all, [&](const Half& other) { return other.is_active && socket_of(other) == socket_of(half); });
  });
  return used;
}

// "" nothing is wrong.
std::string trouble_of(const Half& half) {
  if (!half.is_active || !half.has_address) return "only one half of a socket is used: 3 instead of 20 GB/s";
  return half.mtu < 9000 ? "frames of 1500 bytes: slow, and too long messages get lost" : "";
}

void add_trouble(const Half& half, const std::string& trouble, Outcome& weak) {
  if (!contains(weak.cause, trouble)) add_cause(weak, trouble);
  weak.saw(std::string(kFolder) + "/" + half.device, half.network + (half.is_active ? " up" : " down") + ", MTU " +
                                                         std::to_string(half.mtu) +
                                                         (half.has_address ? "" : ", no address"));
  if (half.network.empty()) return;
  weak.by_hand("sudo ip link set " + half.network + " up mtu 9000",
               "until the next boot; give it an address and keep both in /etc/netplan/40-cx7.yaml, then `sudo netplan "
               "apply`");
}

Outcome link(const Context& context) {
  const std::vector<Half> all = halves(context);
  if (std::ranges::none_of(all, &Half::is_active)) return ok("no link between machines is up");
  Outcome weak = warning("");
  std::vector<std::string> devices;
  for (const Half& half : used_halves(all)) {
    devices.push_back(half.device);
    const std::string trouble = trouble_of(half);
    if (!trouble.empty()) add_trouble(half, trouble, weak);
  }
  const std::string names = joined(devices, ",");
  if (weak.evidence.empty()) return ok().saw(kFolder, names + " up with addresses and MTU 9000");
  return weak.by_hand("export NCCL_IB_HCA=" + names, "so that NCCL uses both halves");
}

Outcome gid_index(const Context& context) {
  if (context.variables().empty()) return unknown("/proc/self/environ could not be read");
  const std::optional<Variable> pinned = variable_named(context, "NCCL_IB_GID_INDEX");
  if (!pinned) {
    if (std::optional<Outcome> seen = seen_in_log(context, 52, Verdict::kWarning)) return *seen;
    return ok().saw("environment and units", "NCCL_IB_GID_INDEX is not set");
  }
  Outcome drifts = warning("the index of an address is pinned, and it changes with every address that comes or goes: "
                           "ranks then hang without a word. An empty value is not unset: it means 0");
  drifts.saw(pinned->where, "NCCL_IB_GID_INDEX=" + pinned->value);
  for (const Half& half : halves(context)) {
    const std::string path = std::string(kFolder) + "/" + half.device + "/ports/1/gid_attrs/types/" +
                             (pinned->value.empty() ? "0" : pinned->value);
    if (half.is_active) drifts.saw(path, trimmed(context.root().text(path).value_or("not there")));
  }
  return drifts.cure("unset NCCL_IB_GID_INDEX", "NCCL finds the right one; take it out of scripts and units too");
}

Outcome socket_name(const Context& context) {
  if (context.variables().empty()) return unknown("/proc/self/environ could not be read");
  const std::optional<Variable> chosen = variable_named(context, "NCCL_SOCKET_IFNAME");
  if (!chosen) {
    // Any program may fail to reach a network; it is about ranks only where there is a link between machines.
    const bool has_link = std::ranges::any_of(halves(context), &Half::is_active);
    std::optional<Outcome> seen = has_link ? seen_in_log(context, 53, Verdict::kWarning) : std::nullopt;
    if (seen) return *seen;
    return ok().saw("environment and units", "NCCL_SOCKET_IFNAME is not set: NCCL chooses");
  }
  const std::vector<std::string> names = context.root().names("/sys/class/net");
  if (names.empty()) return unknown("/sys/class/net could not be read");
  std::string wanted = chosen->value;
  std::erase(wanted, '=');
  std::ranges::replace(wanted, ',', ' ');
  for (const std::string& word : words_of(wanted)) {
    if (word[0] == '^') return ok().saw(chosen->where, "NCCL_SOCKET_IFNAME=" + chosen->value);
    // A name is a prefix: "en" means every interface that begins so.
    if (std::ranges::any_of(names, [&](const std::string& name) { return name.starts_with(word); })) {
      return ok().saw(chosen->where, "NCCL_SOCKET_IFNAME=" + chosen->value);
    }
  }
  return warning("NCCL is told to meet on an interface that this machine does not have")
      .saw(chosen->where, "NCCL_SOCKET_IFNAME=" + chosen->value).saw("/sys/class/net", joined(names))
      .by_hand("export NCCL_SOCKET_IFNAME=enP7s7",
               "the management network of a Spark; each machine needs ssh to the others without a password");
}

constexpr Check kChecks[] = {
    {51, "link", Topic::kCluster, "Both halves of the link between machines are used",
     "NCCL reaches 3 GB/s instead of 20", link},
    {52, "gid-index", Topic::kCluster, "NCCL chooses the address index itself", "ranks hang; ibv_modify_qp error 61",
     gid_index},
    {53, "socket-name", Topic::kCluster, "NCCL meets on an interface that exists", "Network unreachable; mpirun hangs",
     socket_name},
};

}  // namespace

std::span<const Check> cluster_checks() { return kChecks; }

}  // namespace hearth::doctor
