#include "adapters/store/emergency_marker.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "adapters/store/state_dir.h"

namespace dots::adapters::store {
namespace {

namespace json = boost::json;
constexpr const char* kName = "emergency";
constexpr std::size_t kMaxBytes = 16384;

std::string text_member(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? "" : std::string(text->data(), text->size());
}

}  // namespace

base::Result<void> write_emergency_marker(const std::string& state_dir, const EmergencyMarker& marker) {
  const json::object object{{"at_unix_s", base::unix_seconds(marker.at)},
                            {"author", marker.author.substr(0, 256)},
                            {"note", marker.note.substr(0, 1024)}};
  return write_durably(state_dir, kName, json::serialize(object) + "\n");
}

base::Result<std::optional<EmergencyMarker>> read_emergency_marker(const std::string& state_dir) {
  const std::string path = state_dir + "/" + kName;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::optional<EmergencyMarker>{};
    return base::Error{"cannot read '" + path + "': " + std::strerror(errno)};
  }
  std::string content;
  std::array<char, 4096> part{};
  ssize_t n = 0;
  while (content.size() < kMaxBytes && (n = ::read(fd, part.data(), part.size())) > 0) {
    content.append(part.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  json::error_code failure;
  const json::value value = json::parse(json::string_view(content), failure, {}, options);
  const auto* object = failure ? nullptr : value.if_object();
  EmergencyMarker marker;
  if (object == nullptr) {
    marker.author = "unknown";
    marker.note = "the file '" + path + "' cannot be understood";
    return std::optional(marker);
  }
  if (const auto* at = object->if_contains("at_unix_s"); at != nullptr && at->is_number()) {
    const auto seconds = at->to_number<std::uint64_t>(failure);
    if (!failure && seconds < 253402300800) marker.at = base::from_unix_seconds(seconds);
  }
  marker.author = text_member(*object, "author");
  marker.note = text_member(*object, "note");
  return std::optional(marker);
}

base::Result<bool> clear_emergency_marker(const std::string& state_dir) { return remove_durably(state_dir, kName); }

}  // namespace dots::adapters::store
