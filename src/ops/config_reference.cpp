#include <fmt/format.h>

#include "ops/config_schema.h"

namespace dots::ops {
namespace {

std::string role_note(ForRole role) {
  switch (role) {
    case ForRole::server:
      return "server only";
    case ForRole::client:
      return "client only";
    case ForRole::both:
      break;
  }
  return "";
}

void write_keys(std::string& out, const SectionSpec& section) {
  out += "| key | value | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const KeySpec& key : section.keys) {
    std::string value = key.type;
    if (!key.range.empty()) value += (key.type == "one of" ? " " : ", ") + key.range;
    if (!key.unit.empty()) value += " " + key.unit;
    std::string meaning = key.meaning;
    if (key.role != section.role && key.role != ForRole::both) meaning += " (" + role_note(key.role) + ")";
    const std::string fallback =
        key.required           ? "required"
        : key.fallback.empty() ? "none"
        : key.fallback.find('`') != std::string::npos || key.fallback.find(' ') != std::string::npos
            ? (key.fallback.front() == '[' ? "`" + key.fallback + "`" : key.fallback)
            : "`" + key.fallback + "`";
    out += fmt::format("| `{}` | {} | {} | {} Example: `{}` |\n", key.name, value, fallback, meaning, key.example);
  }
  out += "\n";
}

void write_section(std::string& out, const SectionSpec& section, const std::string& parent) {
  const std::string name = parent.empty() ? section.name : parent + "." + section.name;
  std::string notes;
  const auto note = [&notes](const std::string& text) {
    if (!text.empty()) notes += (notes.empty() ? "" : "; ") + text;
  };
  note(role_note(section.role));
  if (section.repeated) note("may be repeated");
  if (section.required) note("required");
  if (section.live) note("a reload applies it");
  out += fmt::format("## {}\n\n{}{}\n\n", section.repeated ? "[[" + name + "]]" : "[" + name + "]", section.meaning,
                     notes.empty() ? "" : " (" + notes + ".)");
  write_keys(out, section);
  for (const SectionSpec& child : section.children) write_section(out, child, name);
}

}  // namespace

std::string config_reference() {
  const SectionSpec& top = config_schema();
  std::string out =
      "# Configuration of dotsd\n\n"
      "<!-- Printed by `dotsctl config-reference` from the table that the daemon reads its configuration with. -->\n\n"
      "One TOML file for each daemon. `dotsctl init DIR` writes a working pair for a server and a client on one "
      "machine; "
      "`dotsctl check-config FILE` tells all problems at once, each with its line and what to write instead. Paths are "
      "relative to the folder of the file. A key that this page does not know is an error.\n\n"
      "`dotsctl reload`, or SIGHUP, makes a running daemon read its file again: everything is checked first, and then "
      "all of it is applied or nothing. Sections that a reload applies say so; when any other key has changed the "
      "reload is refused and names it.\n\n";
  write_keys(out, top);
  for (const SectionSpec& section : top.children) write_section(out, section, "");
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

}  // namespace dots::ops
