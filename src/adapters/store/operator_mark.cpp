#include "adapters/store/operator_mark.h"

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
constexpr std::size_t kMaxBytes = 16384;

const char* name_of(Mark kind) { return kind == Mark::emergency ? "emergency" : "freeze"; }

std::string text_member(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? "" : std::string(text->data(), text->size());
}

}  // namespace

base::Result<void> write_mark(const std::string& state_dir, Mark kind, const OperatorMark& mark) {
  const json::object object{{"at_unix_s", base::unix_seconds(mark.at)},
                            {"author", mark.author.substr(0, 256)},
                            {"note", mark.note.substr(0, 1024)}};
  return write_durably(state_dir, name_of(kind), json::serialize(object) + "\n");
}

base::Result<std::optional<OperatorMark>> read_mark(const std::string& state_dir, Mark kind) {
  const std::string path = state_dir + "/" + name_of(kind);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::optional<OperatorMark>{};
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
  OperatorMark mark;
  if (object == nullptr) {
    mark.author = "unknown";
    mark.note = "the file '" + path + "' cannot be understood";
    return std::optional(mark);
  }
  if (const auto* at = object->if_contains("at_unix_s"); at != nullptr && at->is_number()) {
    const auto seconds = at->to_number<std::uint64_t>(failure);
    if (!failure && seconds < 253402300800) mark.at = base::from_unix_seconds(seconds);
  }
  mark.author = text_member(*object, "author");
  mark.note = text_member(*object, "note");
  return std::optional(mark);
}

base::Result<bool> clear_mark(const std::string& state_dir, Mark kind) {
  return remove_durably(state_dir, name_of(kind));
}

}  // namespace dots::adapters::store
