#include "wire/uri_path.h"

#include <string_view>

#include "model/text.h"

namespace dots::wire {
namespace {

using model::ResponseCode;

constexpr std::size_t kMaxSegments = 16;
constexpr std::size_t kMaxSegmentBytes = 255;  // RFC 7252 5.10, Uri-Path

PathFailure not_found() { return {ResponseCode::not_found, "no such resource"}; }
PathFailure bad(std::string diagnostic) { return {ResponseCode::bad_request, std::move(diagnostic)}; }

// One spelling per number, so that one resource has one name: no sign, no leading zeros.
std::optional<std::uint32_t> parse_uint32(std::string_view digits) {
  if (digits.empty() || digits.size() > 10 || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > UINT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

struct Parameter {
  std::string_view name;
  std::string_view value;
};

base::Result<Parameter, PathFailure> parse_parameter(std::string_view segment) {
  const std::size_t equals = segment.find('=');
  if (equals == std::string_view::npos) return bad("path segment without '=' where a parameter is expected");
  const Parameter parameter{segment.substr(0, equals), segment.substr(equals + 1)};
  if (!model::is_plain_text(segment)) return bad("path parameter with control characters or broken UTF-8");
  if (parameter.value.empty()) return bad("empty path parameter " + std::string(parameter.name));
  return parameter;
}

using Segments = std::vector<std::string>;

base::Result<ResourcePath, PathFailure> parse_mitigate(const Segments& segments) {
  MitigatePath path;
  for (std::size_t i = 3; i < segments.size(); ++i) {
    const auto parameter = parse_parameter(segments[i]);
    if (!parameter) return parameter.error();
    if (parameter->name == "cdid") {
      if (path.cdid) return bad("cdid is given twice");
      if (path.cuid) return bad("cdid must come before cuid");
      path.cdid = std::string(parameter->value);
    } else if (parameter->name == "cuid") {
      if (path.cuid) return bad("cuid is given twice");
      path.cuid = base::Cuid{std::string(parameter->value)};
    } else if (parameter->name == "mid") {
      if (path.mid) return bad("mid is given twice");
      if (!path.cuid) return bad("mid must come after cuid");
      const auto mid = parse_uint32(parameter->value);
      if (!mid) return bad("mid is not a number from 0 to 4294967295");
      path.mid = base::Mid{*mid};
    } else {
      return bad("unknown path parameter '" + std::string(model::clip(parameter->name, 64)) + "' of mitigate");
    }
  }
  if (path.cdid && !path.cuid) return bad("cdid without cuid");
  return ResourcePath{std::move(path)};
}

base::Result<ResourcePath, PathFailure> parse_config(const Segments& segments) {
  ConfigPath path;
  for (std::size_t i = 3; i < segments.size(); ++i) {
    const auto parameter = parse_parameter(segments[i]);
    if (!parameter) return parameter.error();
    if (parameter->name != "sid") {
      return bad("unknown path parameter '" + std::string(model::clip(parameter->name, 64)) + "' of config");
    }
    if (path.sid) return bad("sid is given twice");
    const auto sid = parse_uint32(parameter->value);
    if (!sid) return bad("sid is not a number from 0 to 4294967295");
    path.sid = base::Sid{*sid};
  }
  return ResourcePath{path};
}

}  // namespace

base::Result<ResourcePath, PathFailure> parse_path(const Segments& segments) {
  if (segments.size() < 3 || segments[0] != ".well-known" || segments[1] != "dots") return not_found();
  const std::string& operation = segments[2];
  if (operation != "mitigate" && operation != "config" && operation != "hb") return not_found();
  if (segments.size() > kMaxSegments) return bad("too many path segments");
  for (const std::string& segment : segments) {
    if (segment.size() > kMaxSegmentBytes) return bad("path segment longer than 255 bytes");
  }
  if (operation == "mitigate") return parse_mitigate(segments);
  if (operation == "config") return parse_config(segments);
  if (segments.size() > 3) return bad("hb takes no path parameters");
  return ResourcePath{HeartbeatPath{}};
}

std::vector<std::string> to_segments(const ResourcePath& path) {
  Segments segments{".well-known", "dots"};
  if (const auto* mitigate = std::get_if<MitigatePath>(&path)) {
    segments.emplace_back("mitigate");
    if (mitigate->cdid) segments.push_back("cdid=" + *mitigate->cdid);
    if (mitigate->cuid) segments.push_back("cuid=" + mitigate->cuid->value);
    if (mitigate->mid) segments.push_back("mid=" + std::to_string(mitigate->mid->value));
  } else if (const auto* config = std::get_if<ConfigPath>(&path)) {
    segments.emplace_back("config");
    if (config->sid) segments.push_back("sid=" + std::to_string(config->sid->value));
  } else {
    segments.emplace_back("hb");
  }
  return segments;
}

}  // namespace dots::wire
