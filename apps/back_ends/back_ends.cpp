#include "apps/back_ends/back_ends.h"

#include <chrono>

#include "adapters/mitigators/command_mitigator.h"
#include "adapters/mitigators/dry_run.h"
#include "adapters/mitigators/gobgp/gobgp_mitigator.h"
#include "adapters/mitigators/nftables_mitigator.h"
#include "adapters/mitigators/notify_mitigator.h"
#include "adapters/mitigators/webhook_mitigator.h"
#include "ops/config.h"

namespace dots::back_ends {

namespace mitigators = adapters::mitigators;
namespace gobgp = adapters::mitigators::gobgp;

namespace {

constexpr const char* kNftables = "nftables";
constexpr const char* kDryRun = "dry-run";
constexpr const char* kCommand = "command";
constexpr const char* kWebhook = "webhook";
constexpr const char* kNotify = "notify";
constexpr const char* kRtbh = "gobgp-rtbh";
constexpr const char* kFlowspec = "gobgp-flowspec";

bool is_gobgp(const ops::MitigatorConfig& config) { return config.kind == kRtbh || config.kind == kFlowspec; }

mitigators::NftablesOptions nftables_options(const ops::MitigatorConfig& config, bool only_look) {
  mitigators::NftablesOptions out;
  out.helper = config.helper.empty() ? mitigators::default_helper() : config.helper;
  out.helper_command = config.helper_command;
  out.table = config.table;
  out.timeout = std::chrono::milliseconds{config.timeout_ms};
  out.exemption_rate_pps = config.exemption_rate_pps;
  out.only_look = only_look;
  return out;
}

// A file with problems is used for what can still be done with it.
std::string program_of(const ops::MitigatorConfig& config) {
  return config.command.empty() ? "a program that is not configured" : config.command.front();
}

mitigators::WebServiceOptions service_options(const ops::MitigatorConfig& config) {
  return {config.url, config.url_ca_file, config.secret_file, std::chrono::milliseconds{config.timeout_ms},
          config.dns_servers};
}

mitigators::NotifyOptions notify_options(const ops::MitigatorConfig& config) {
  mitigators::NotifyOptions out;
  out.name = config.name;
  out.mail_to = config.mail_to;
  out.mail_from = config.mail_from;
  out.mail_command = config.mail_command;
  out.timeout = std::chrono::milliseconds{config.timeout_ms};
  out.notice_every = std::chrono::seconds{config.notice_every_s};
  out.state_dir = config.state_dir;
  if (!config.url.empty()) out.service = service_options(config);
  return out;
}

gobgp::DropAs drop_as(ops::BgpDrop drop) {
  return drop == ops::BgpDrop::redirect ? gobgp::DropAs::redirect
         : drop == ops::BgpDrop::mark   ? gobgp::DropAs::mark
                                        : gobgp::DropAs::discard;
}

gobgp::GobgpOptions gobgp_options(const ops::MitigatorConfig& config, bool only_look) {
  const ops::BgpConfig& bgp = config.bgp;
  gobgp::GobgpOptions out;
  out.kind = config.kind == kRtbh ? gobgp::RouteKind::unicast : gobgp::RouteKind::flow;
  out.speaker = {bgp.api, std::chrono::milliseconds{config.timeout_ms}};
  out.peers = bgp.peers;
  out.only_look = only_look;
  for (const auto& one : bgp.former_markers) out.former_markers.push_back({one[0], one[1]});
  gobgp::Announcement& a = out.announcement;
  a.marker = {bgp.marker[0], bgp.marker[1]};
  a.next_hop_v4 = bgp.next_hop_v4;
  a.next_hop_v6 = bgp.next_hop_v6;
  a.local_preference = bgp.local_preference;
  if (bgp.communities) {
    a.communities = *bgp.communities;
  } else if (config.kind == kRtbh) {
    a.communities = {ops::kBlackholeCommunity};
  }
  for (const auto& one : bgp.large_communities) a.large_communities.push_back({one[0], one[1], one[2]});
  a.no_export = bgp.no_export;
  a.drop_as = drop_as(bgp.drop_as);
  if (bgp.redirect_rt) {
    a.redirect_rt = gobgp::RouteTarget{bgp.redirect_rt->as_number, bgp.redirect_rt->number};
    if (bgp.redirect_rt->address) a.redirect_rt->administrator = *bgp.redirect_rt->address;
  }
  for (const auto& address : bgp.redirect_ip) {
    (address.family == model::Family::ipv4 ? a.redirect_ip_v4 : a.redirect_ip_v6) = address;
  }
  a.dscp = bgp.dscp;
  return out;
}

}  // namespace

base::Result<std::unique_ptr<ports::Mitigator>> make(const ops::MitigatorConfig& config, bool only_look) {
  using Made = std::unique_ptr<ports::Mitigator>;
  if (config.kind == kDryRun) return Made(std::make_unique<mitigators::DryRunMitigator>());
  if (config.kind == kNftables)
    return Made(std::make_unique<mitigators::NftablesMitigator>(nftables_options(config, only_look)));
  if (config.kind == kCommand) {
    return mitigators::make_command_mitigator(
        {config.name, config.command, std::chrono::milliseconds{config.timeout_ms}});
  }
  if (config.kind == kWebhook) return mitigators::make_webhook_mitigator({config.name, service_options(config)});
  if (config.kind == kNotify) return mitigators::make_notify_mitigator(notify_options(config));
  if (is_gobgp(config)) return Made(std::make_unique<gobgp::GobgpMitigator>(gobgp_options(config, only_look)));
  return base::Error{"mitigator '" + config.name + "': there is no kind '" + config.kind + "'"};
}

bool has_reader(const ops::MitigatorConfig& config) { return config.kind == kNftables; }

bool asks_people(const ops::MitigatorConfig& config) { return config.kind == kNotify; }

bool outlives_daemon(const ops::MitigatorConfig& config) {
  return config.kind == kNftables || config.kind == kCommand || config.kind == kWebhook || is_gobgp(config);
}

base::Result<void> check(const ops::MitigatorConfig& config) {
  if (config.kind == kNftables) return mitigators::check(nftables_options(config, true));
  // Opening it would tell people.
  if (config.kind == kNotify) return mitigators::check(notify_options(config));
  auto made = make(config, true);
  if (!made) return made.error();
  return (*made)->open();
}

std::string describe(const ops::MitigatorConfig& config) {
  if (config.kind == kNftables) return config.kind + ", table " + config.table;
  if (config.kind == kCommand) return config.kind + ", " + program_of(config);
  if (config.kind == kWebhook) return config.kind + ", " + config.url;
  if (is_gobgp(config)) return config.kind + ", " + config.bgp.api;
  return config.kind;
}

std::string removal_by_hand(const ops::MitigatorConfig& config) {
  if (config.kind == kNftables) return "nft delete table inet " + config.table;
  if (config.kind == kCommand) return "whatever " + program_of(config) + " drives";
  if (config.kind == kWebhook) return "whatever " + config.url + " drives";
  if (is_gobgp(config)) {
    return "gobgp global rib del for the routes with the large community " + std::to_string(config.bgp.marker[0]) +
           ":" + std::to_string(config.bgp.marker[1]) + ":*, or stop gobgpd, which withdraws all its routes";
  }
  return "nothing outside the daemon";
}

}  // namespace dots::back_ends
