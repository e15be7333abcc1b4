// Commands that ask the running daemon.
#include <fmt/format.h>

#include <chrono>
#include <ostream>
#include <thread>

#include "dotsctl/api_client.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/json_read.h"
#include "dotsctl/render.h"
#include "ops/config.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

constexpr const char* kDefaultSocket = "/run/tidewall/dotsd.sock";

json::object which_arguments(const Options::Which& which) {
  json::object out{{"mid", which.mid}};
  if (!which.domain.empty()) out["domain"] = which.domain;
  if (!which.cuid.empty()) out["cuid"] = which.cuid;
  if (!which.server.empty()) out["server"] = which.server;
  if (!which.note.empty()) out["note"] = which.note;
  if (which.force) out["force"] = true;
  if (!which.attack.empty())
    out["attack-status"] = which.attack == "mitigated" ? "attack-successfully-mitigated" : which.attack;
  return out;
}

std::string render(const std::string& command, const json::value& body) {
  const std::int64_t now = unix_now();
  if (command == "status") return render_status(body, now);
  if (command == "list") return render_list(body, now);
  if (command == "show") return render_show(body, now);
  if (command == "explain") return render_explain(body, now);
  if (command == "filters") return render_filters(body, now);
  if (command == "audit") return render_audit(body);
  if (command == "rules") return render_rules(body, now);
  if (command == "reload") return render_reload(body);
  if (command == "cuid release" || command == "release-armed" || command == "freeze" || command == "unfreeze")
    return text_of(body, "text") + "\n";
  if (command == "policy") return render_policy(body);
  if (command == "what-if") return render_what_if(body);
  if (command == "redirect") return render_redirects(body, unix_now());
  return render_done(command == "mitigate"            ? "requested"
                     : command == "refresh"           ? "is being renewed"
                     : command == "efficacy"          ? "is reported on"
                     : command.starts_with("filter ") ? "asked for, with its filters, in place of the other"
                     : command == "approve"           ? "is approved"
                     : command == "refuse"            ? "is refused"
                                                      : "withdrawn",
                     body, now);
}

// Mitigated, refused for good, or time is up.
int wait_for_mitigation(const Options& options, const std::string& socket, const json::value& requested,
                        Streams streams) {
  const json::array asked = mitigations_of(requested);
  const auto mid = asked.empty() ? std::nullopt : number_of(asked[0], "mid");
  if (!mid)
    return fail(options, streams, kRefused, "the daemon did not say which mitigation it made", "run: dotsctl list");
  json::object arguments{{"mid", *mid}};
  for (const char* name : {"server", "cuid", "domain"})
    if (const std::string value = text_of(asked[0], name); !value.empty()) arguments[name] = value;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{options.mitigate.wait_s};
  std::string status;
  for (;;) {
    const ApiReply reply = call_api(socket, "show", arguments);
    if (const int code = check(options, streams, reply); code != kOk) return code;
    const json::array all = mitigations_of(reply.body);
    const json::value m = all.empty() ? json::value{} : all[0];
    status = text_of(m, "status");
    if (status == "attack-successfully-mitigated" || status == "attack-stopped" ||
        (options.mitigate.armed && status == "attack-mitigation-signal-loss")) {
      streams.out << (options.json ? json::serialize(reply.body) + "\n" : render("show", reply.body));
      return kOk;
    }
    const std::string refusal = text_of(m, "refusal");
    if (!refusal.empty() || status == "attack-mitigation-terminated" || status == "attack-mitigation-withdrawn")
      return fail(options, streams, kRefused,
                  refusal.empty() ? "the mitigation ended: " + status_words(status) : refusal,
                  "run: dotsctl show " + std::to_string(*mid));
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
  }
  return fail(options, streams, kRefused,
              fmt::format("mitigation {} is not there after {} s: {}", *mid, options.mitigate.wait_s,
                          status.empty() ? "the server has not answered" : status_words(status)),
              "it goes on being tried; run: dotsctl show " + std::to_string(*mid));
}

}  // namespace

base::Result<std::string> socket_of(const Options& options) {
  if (!options.socket.empty()) return options.socket;
  if (options.config.empty()) return std::string{kDefaultSocket};
  return ops::api_socket_of(options.config);
}

int check(const Options& options, Streams streams, const ApiReply& reply) {
  if (!reply.reached) return fail(options, streams, kUnreachable, reply.why, reply.next_step);
  if (reply.status == 200) return kOk;
  std::string error = text_of(reply.body, "error");
  if (error.empty()) error = "the daemon refused, with code " + std::to_string(reply.status);
  return fail(options, streams, reply.status == 404 ? kNotFound : kRefused, error, text_of(reply.body, "next_step"));
}

int run_remote(const std::string& command, const Options& options, Streams streams) {
  const auto socket = socket_of(options);
  if (!socket) return fail(options, streams, kUsage, socket.error().message, "");
  if (command == "watch") return run_watch(options, *socket, streams);

  json::object arguments;
  if (command == "show" || command == "withdraw" || command == "approve" || command == "refuse" ||
      command == "refresh" || command == "efficacy")
    arguments = which_arguments(options.which);
  if (command == "cuid release") {
    arguments = which_arguments(options.which);
    arguments.erase("mid");
  }
  if (command == "freeze" && !options.which.note.empty()) arguments["note"] = options.which.note;
  const bool switches_filters = command == "filter activate" || command == "filter deactivate";
  if (switches_filters) {
    arguments = which_arguments(options.which);
    const bool on = command == "filter activate";
    arguments["acl-list"] =
        acl_list(on ? options.filter.names : std::vector<std::string>{},
                 on ? std::vector<std::string>{} : options.filter.names, options.filter.when_mitigating);
  }
  if (command == "reload" && options.dry_run) arguments["dry_run"] = true;
  if (command == "audit") {
    auto parsed = audit_arguments(options.audit, unix_now());
    if (!parsed) return fail(options, streams, kUsage, parsed.error().message, "");
    arguments = std::move(parsed).value();
  }
  if (command == "mitigate" || command == "explain") {
    auto parsed = command == "mitigate" ? mitigate_arguments(options.mitigate) : explain_arguments(options.explain);
    if (!parsed) return fail(options, streams, kUsage, parsed.error().message, "");
    arguments = std::move(parsed).value();
  }
  if (command == "what-if") {
    auto parsed = what_if_arguments(options.what_if);
    if (!parsed) return fail(options, streams, kUsage, parsed.error().message, "");
    arguments = std::move(parsed).value();
  }
  if (command == "rules") {
    auto parsed = rules_arguments(options.rules);
    if (!parsed) return fail(options, streams, kUsage, parsed.error().message, "");
    arguments = std::move(parsed).value();
  }
  if (command == "filters") {
    auto parsed = filters_arguments(options);
    if (!parsed) return fail(options, streams, kUsage, parsed.error().message, "");
    arguments = std::move(parsed).value();
  }
  std::string operation = command == "cuid release" ? "cuid-release" : switches_filters ? "filter-control" : command;
  if (command == "redirect") {
    auto parsed = redirect_arguments(options.redirect);
    if (!parsed) return fail(options, streams, kUsage, parsed.error().message, "");
    arguments = std::move(parsed).value();
    if (!options.redirect.asks()) operation = "redirects";
  }
  const ApiReply reply = call_api(*socket, operation, arguments);
  if (const int code = check(options, streams, reply); code != kOk) return code;
  if (command == "mitigate" && options.mitigate.wait) return wait_for_mitigation(options, *socket, reply.body, streams);
  if (command == "audit" && options.audit.json_lines) {
    streams.out << audit_lines(reply.body);
    return kOk;
  }
  streams.out << (options.json ? json::serialize(reply.body) + "\n" : render(command, reply.body));
  return kOk;
}

int run_watch(const Options& options, const std::string& socket, Streams streams) {
  const bool terminal = !options.json && options.watch.redraw;
  bool seen = false;
  for (std::uint32_t round = 1;; ++round) {
    const ApiReply reply = call_api(socket, "list", {}, std::chrono::seconds{10});
    if (!seen || (reply.reached && reply.status != 200))
      if (const int code = check(options, streams, reply); code != kOk) return code;
    seen = true;
    if (options.json) {
      if (reply.reached) streams.out << json::serialize(reply.body) << "\n";
    } else {
      // The daemon may be restarting: what was seen goes, and the watch goes on.
      const std::string text = reply.reached ? render_list(reply.body, unix_now()) : reply.why + "\n";
      streams.out << (terminal ? "\x1b[H\x1b[2J" : "") << render_time() << "\n" << text << (terminal ? "" : "\n");
    }
    streams.out.flush();
    if (!streams.out || round == options.watch.rounds) return kOk;
    std::this_thread::sleep_for(std::chrono::duration<double>{options.watch.interval_s});
  }
}

}  // namespace dots::dotsctl
