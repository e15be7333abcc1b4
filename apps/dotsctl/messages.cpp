#include <fmt/format.h>

#include "dotsctl/commands.h"
#include "ops/facts/health.h"
#include "ops/facts/messages.h"
#include "ops/facts/metrics.h"

namespace dots::dotsctl {
std::string messages_reference() {
  std::string out =
      "# What dotsd says\n\n"
      "<!-- Printed by `dotsctl messages` from the tables in src/ops/facts. -->\n\n"
      "## Messages\n\n"
      "Each line of the log starts with one of these names. Lines of one name are limited in rate; how many were held "
      "back is said and counted.\n\n"
      "| message | severity | what it means | what to do |\n| --- | --- | --- | --- |\n";
  for (const auto& m : ops::facts::messages())
    out += fmt::format("| `{}` | {} | {} | {} |\n", m.id, ops::facts::name_of(m.severity), m.meaning, m.next_step);
  out +=
      "\n## States of health\n\n"
      "`dotsctl status` shows those that last. With a failed one, `GET /v1/health` answers 503.\n\n"
      "| condition | grade | what it means | what to do |\n| --- | --- | --- | --- |\n";
  for (const auto& h : ops::facts::health_conditions())
    out += fmt::format("| `{}` | {} | {} | {} |\n", h.condition,
                       h.grade == ops::facts::HealthGrade::failed ? "failed" : "degraded", h.meaning, h.next_step);
  out +=
      "\n## Metrics\n\n"
      "In the text format of Prometheus at `/metrics` of the management socket, and on `api.metrics_address`.\n\n"
      "| metric | kind | label | help |\n| --- | --- | --- | --- |\n";
  for (const auto& m : ops::facts::metrics())
    out += fmt::format("| `{}` | {} | {} | {} |\n", m.name, ops::facts::name_of(m.kind), m.label, m.help);
  return out;
}

}  // namespace dots::dotsctl
