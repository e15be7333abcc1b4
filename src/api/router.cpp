#include "api/router.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

namespace dots::api {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxOperation = 32;
constexpr std::string_view kPrefix = "/v1/";

// Everything else changes something.
bool only_looks(std::string_view operation) {
  constexpr std::array<std::string_view, 10> looking{"status", "rules",     "list",    "show",    "explain",
                                                     "audit",  "redirects", "aliases", "filters", "capabilities"};
  return std::find(looking.begin(), looking.end(), operation) != looking.end();
}

bool is_operation(std::string_view text) {
  return !text.empty() && text.size() <= kMaxOperation &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

json::array rendered(const std::vector<ops::Unwell>& unwell) {
  json::array out;
  for (const ops::Unwell& one : unwell) {
    json::object o;
    o["condition"] = one.fact->condition;
    o["grade"] = one.fact->grade == ops::facts::HealthGrade::failed ? "failed" : "degraded";
    if (!one.subject.empty()) o["subject"] = one.subject;
    o["since"] = one.since_unix_s;
    o["meaning"] = one.fact->meaning;
    if (!one.details.empty()) o["details"] = one.details;
    if (!one.fact->next_step.empty()) o["next_step"] = one.fact->next_step;
    out.push_back(std::move(o));
  }
  return out;
}

HttpAnswer health(const std::vector<ops::Unwell>& unwell) {
  const bool failed = std::any_of(unwell.begin(), unwell.end(), [](const ops::Unwell& one) {
    return one.fact->grade == ops::facts::HealthGrade::failed;
  });
  json::object body;
  body["healthy"] = unwell.empty();
  body["health"] = rendered(unwell);
  HttpAnswer answer;
  answer.status = failed ? 503 : 200;
  answer.body = json::serialize(body);
  return answer;
}

// The process answers: that is all that a supervisor may restart it for. Restarting heals no dead back end.
HttpAnswer alive() {
  HttpAnswer answer;
  answer.body = "ok\n";
  answer.content_type = "text/plain; charset=utf-8";
  return answer;
}

// It can do its work: nothing is failed. The names of the conditions, without details: whoever reaches the port sees
// them.
HttpAnswer ready(const std::vector<ops::Unwell>& unwell) {
  HttpAnswer answer = alive();
  std::string failed;
  for (const ops::Unwell& one : unwell) {
    if (one.fact->grade != ops::facts::HealthGrade::failed) continue;
    if (failed.find(one.fact->condition) == std::string::npos) failed += std::string{one.fact->condition} + "\n";
  }
  if (failed.empty()) return answer;
  answer.status = 503;
  answer.body = failed;
  return answer;
}

HttpAnswer wrong_method(const std::string& allow) {
  HttpAnswer answer = error_answer(405, "this method does not fit here", "use " + allow, "method");
  answer.allow = allow;
  return answer;
}

}  // namespace

HttpAnswer error_answer(unsigned status, const std::string& error, const std::string& next_step,
                        const std::string& refusal) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = json::serialize(json::object{{"error", error}, {"next_step", next_step}});
  answer.refusal = refusal;
  return answer;
}

Routed route(const std::string& method, const std::string& target, const std::string& body, const Admission& admission,
             const ops::Instruments& instruments, bool metrics_only) {
  if (!admission.may_read)
    return error_answer(403, "the user '" + admission.caller.name + "' may not use this daemon",
                        "an administrator can add the user to api.operator_group or api.read_only_group", "user");
  if (target == "/metrics") {
    if (method != "GET") return wrong_method("GET");
    HttpAnswer answer;
    answer.body = instruments.metrics_text();
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return answer;
  }
  // For supervisors: GET, no more than a word of why.
  if (target == "/healthz" || target == "/readyz") {
    if (method != "GET") return wrong_method("GET");
    return target == "/healthz" ? alive() : ready(instruments.unwell());
  }
  const std::string nothing_here = "see docs/api.md for what is there";
  if (metrics_only)
    return error_answer(404, "there is nothing here but /metrics, /healthz and /readyz", nothing_here, "path");
  if (target == "/v1/health") return method == "GET" ? health(instruments.unwell()) : wrong_method("GET");
  if (!target.starts_with(kPrefix) || !is_operation(std::string_view{target}.substr(kPrefix.size())))
    return error_answer(404, "there is no such path", nothing_here, "path");

  agent::Call call;
  call.operation = target.substr(kPrefix.size());
  call.caller = admission.caller;
  if (method != "POST") return wrong_method("POST");
  if (!only_looks(call.operation) && !call.caller.may_write)
    return error_answer(403, "the user '" + call.caller.name + "' may look but not change anything",
                        "an administrator can add the user to api.operator_group", "read-only");
  if (body.empty()) return call;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::error_code error;
  json::value value = json::parse(body, error, {}, options);
  if (error) return error_answer(400, "the body is no JSON: " + error.message(), "send one JSON object", "json");
  if (!value.is_object()) return error_answer(400, "the body is no JSON object", "send one JSON object", "json");
  call.arguments = std::move(value.as_object());
  return call;
}

HttpAnswer answer_of(agent::CallAnswer answer, const std::string& operation, const std::vector<ops::Unwell>& unwell) {
  using Outcome = agent::CallAnswer::Outcome;
  const auto refused = [&answer](unsigned status) {
    return error_answer(status, answer.message, answer.next_step, "agent");
  };
  switch (answer.outcome) {
    case Outcome::bad_request:
      return refused(400);
    case Outcome::forbidden:
      return refused(403);
    case Outcome::not_found:
      return refused(404);
    case Outcome::conflict:
      return refused(409);
    case Outcome::unavailable:
      return refused(503);
    case Outcome::ok:
      break;
  }
  if (operation == "status" && answer.body.is_object()) answer.body.as_object()["health"] = rendered(unwell);
  HttpAnswer out;
  out.body = json::serialize(answer.body);
  return out;
}

}  // namespace dots::api
