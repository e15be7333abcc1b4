#include "data/http.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "model/text.h"
#include "wire/json_text.h"

namespace dots::data {
namespace {

using ports::HttpAnswer;
using ports::HttpHeaders;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The elements of a list; separators inside quotes and comments do not count.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  std::size_t comments = 0;
  bool quoted = false;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const char c = at < text.size() ? text[at] : separator;
    if (at < text.size() && c == '\\' && (quoted || comments > 0)) {
      ++at;
    } else if (c == '"' && comments == 0) {
      quoted = !quoted;
    } else if (!quoted && c == '(') {
      ++comments;
    } else if (!quoted && c == ')' && comments > 0) {
      --comments;
    }
    if (at >= text.size() || (c == separator && !quoted && comments == 0)) {
      const std::string_view part = trim(text.substr(start, std::min(at, text.size()) - start));
      if (!part.empty()) parts.push_back(part);
      start = at + 1;
    }
  }
  return parts;
}

// "q=0.5" -> 500; 1000 without, and for what cannot be read.
int weight_of(const std::vector<std::string_view>& parameters) {
  for (std::size_t i = 1; i < parameters.size(); ++i) {
    const std::string parameter = lower(parameters[i]);
    if (parameter.substr(0, 2) != "q=") continue;
    const std::string_view value = std::string_view(parameter).substr(2);
    if (value.empty() || value.front() != '0') return 1000;
    std::string thousandths(value.substr(std::min<std::size_t>(2, value.size())));
    thousandths.resize(3, '0');
    int weight = 0;
    std::from_chars(thousandths.data(), thousandths.data() + 3, weight);
    return weight;
  }
  return 1000;
}

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

std::string digits(std::uint64_t value, std::size_t width) {
  std::string text = std::to_string(value);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

bool etag_in(std::string_view list, const std::optional<ports::DataVersion>& version, bool weak) {
  const std::string own = version ? etag_of(*version) : std::string{};
  for (std::string_view tag : split(list, ',')) {
    if (tag == "*") return version.has_value();
    if (weak && tag.substr(0, 2) == "W/") tag.remove_prefix(2);
    if (version && tag == own) return true;
  }
  return false;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  if (model::is_plain_text(out)) return out;
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) c = '?';
  }
  return out;
}

HttpAnswer answer_of(int status) {
  HttpAnswer answer;
  answer.status = status;
  answer.headers.add("Cache-Control", "no-cache");
  return answer;
}

HttpAnswer json_answer(std::string body) {
  HttpAnswer answer = answer_of(200);
  answer.headers.add("Content-Type", std::string(kYangJson));
  answer.body = std::move(body);
  return answer;
}

HttpAnswer error_answer(const Fault& fault) {
  wire::JsonText out(false);
  out.begin_object();
  out.key("ietf-restconf:errors");
  out.begin_object();
  out.key("error");
  out.begin_array();
  out.begin_object();
  const auto member = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.key(name);
    out.string(printable(value));
  };
  member("error-type", fault.type);
  member("error-tag", fault.tag);
  member("error-app-tag", fault.app_tag);
  member("error-path", fault.path);
  member("error-message", fault.message);
  if (!fault.via.empty()) {
    out.key("error-info");
    out.begin_object();
    member("via-header", fault.via);
    out.end_object();
  }
  out.end_object();
  out.end_array();
  out.end_object();
  out.end_object();
  HttpAnswer answer = json_answer(out.take());
  answer.status = fault.status;
  return answer;
}

bool accepts(const HttpHeaders& headers, std::string_view media_type) {
  if (!headers.has("Accept")) return true;
  const std::string type = lower(media_type);
  const std::string whole_type = type.substr(0, type.find('/')) + "/*";
  // The most specific range counts (RFC 9110 12.5.1).
  int best_rank = 0;
  int weight = 0;
  const std::string ranges = headers.joined("Accept");
  for (const std::string_view range : split(ranges, ',')) {
    const auto parameters = split(range, ';');
    if (parameters.empty()) continue;
    const std::string name = lower(parameters.front());
    const int rank = name == type ? 3 : name == whole_type ? 2 : name == "*/*" ? 1 : 0;
    if (rank == 0 || rank < best_rank) continue;
    weight = rank > best_rank ? weight_of(parameters) : std::max(weight, weight_of(parameters));
    best_rank = rank;
  }
  return best_rank > 0 && weight > 0;
}

bool has_type(const HttpHeaders& headers, std::string_view media_type) {
  const std::string* field = headers.find("Content-Type");
  if (field == nullptr) return false;
  const auto parameters = split(*field, ';');
  if (parameters.empty() || lower(parameters.front()) != lower(media_type)) return false;
  return std::all_of(parameters.begin() + 1, parameters.end(), [](std::string_view parameter) {
    const std::string text = lower(parameter);
    return text.substr(0, 8) != "charset=" || text == "charset=utf-8" || text == "charset=\"utf-8\"";
  });
}

std::string etag_of(const ports::DataVersion& version) {
  const auto hex = [](std::uint64_t value) {
    std::array<char, 16> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value, 16).ptr;
    return std::string(text.data(), end);
  };
  return "\"" + hex(version.revision) + "-" +
         hex(static_cast<std::uint64_t>(version.modified.time_since_epoch().count())) + "\"";
}

std::string http_date(base::WallTime time) {
  const std::uint64_t seconds = base::unix_seconds(time);
  const std::chrono::sys_days day{std::chrono::days{static_cast<int>(seconds / 86400)}};
  const std::chrono::year_month_day date{day};
  const std::uint64_t second = seconds % 86400;
  return std::string(kDays[std::chrono::weekday{day}.c_encoding()]) + ", " +
         digits(static_cast<unsigned>(date.day()), 2) + " " +
         std::string(kMonths[static_cast<unsigned>(date.month()) - 1]) + " " +
         digits(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4) + " " + digits(second / 3600, 2) + ":" +
         digits(second / 60 % 60, 2) + ":" + digits(second % 60, 2) + " GMT";
}

std::optional<base::WallTime> parse_http_date(std::string_view text) {
  // The fields in the order of their appearance, whatever stands between them:
  //   Sun, 06 Nov 1994 08:49:37 GMT | Sunday, 06-Nov-94 08:49:37 GMT | Sun Nov  6 08:49:37 1994
  std::vector<int> numbers;
  int month = 0;
  bool month_first = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    if (text[at] >= '0' && text[at] <= '9') {
      while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
      int number = 0;
      if (at - start > 4) return std::nullopt;
      std::from_chars(text.data() + start, text.data() + at, number);
      numbers.push_back(number);
      continue;
    }
    while (at < text.size() && ((text[at] >= 'A' && text[at] <= 'Z') || (text[at] >= 'a' && text[at] <= 'z'))) ++at;
    const auto named = std::find(kMonths.begin(), kMonths.end(), text.substr(start, at - start));
    if (named != kMonths.end()) {
      month = static_cast<int>(named - kMonths.begin()) + 1;
      month_first = numbers.empty();
    }
    if (at == start) ++at;
  }
  if (numbers.size() != 5 || month == 0 || std::count(text.begin(), text.end(), ':') != 2) return std::nullopt;
  if (month_first) std::rotate(numbers.begin() + 1, numbers.begin() + 4, numbers.end());  // day, year, time
  int year = numbers[1];
  if (year < 100) year += year < 70 ? 2000 : 1900;
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(numbers[0])}};
  if (!date.ok() || year < 1970 || year > 2200 || numbers[2] > 23 || numbers[3] > 59 || numbers[4] > 60) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  return base::from_unix_seconds(static_cast<std::uint64_t>(days) * 86400 +
                                 static_cast<std::uint64_t>(numbers[2] * 3600 + numbers[3] * 60 + numbers[4]));
}

void add_version(HttpAnswer& answer, const ports::DataVersion& version) {
  answer.headers.add("ETag", etag_of(version));
  answer.headers.add("Last-Modified", http_date(version.modified));
}

Precondition evaluate(const HttpHeaders& headers, const std::optional<ports::DataVersion>& version, bool reads) {
  // In the order of RFC 9110 13.2.2. Last-Modified is in whole seconds.
  const std::uint64_t modified_s = version ? base::unix_seconds(version->modified) : 0;
  if (headers.has("If-Match")) {
    if (!etag_in(headers.joined("If-Match"), version, false)) return Precondition::failed;
  } else if (const std::string* field = headers.find("If-Unmodified-Since")) {
    const auto since = parse_http_date(*field);
    if (since && version && modified_s > base::unix_seconds(*since)) return Precondition::failed;
  }
  if (headers.has("If-None-Match")) {
    if (etag_in(headers.joined("If-None-Match"), version, true)) {
      return reads ? Precondition::not_modified : Precondition::failed;
    }
  } else if (const std::string* field = reads ? headers.find("If-Modified-Since") : nullptr) {
    const auto since = parse_http_date(*field);
    if (since && version && modified_s <= base::unix_seconds(*since)) return Precondition::not_modified;
  }
  return Precondition::holds;
}

bool via_names(const HttpHeaders& headers, const std::vector<std::string>& own) {
  const std::string entries = headers.joined("Via");
  for (const std::string_view entry : split(entries, ',')) {
    const auto words = split(entry, ' ');
    if (words.size() < 2) continue;
    std::string by = lower(words[1]);
    if (!by.empty() && by.front() == '[') {
      by = by.substr(1, by.find(']') - 1);
    } else if (std::count(by.begin(), by.end(), ':') == 1) {
      by.resize(by.find(':'));
    }
    if (!by.empty() && by.back() == '.') by.pop_back();
    for (const std::string& name : own) {
      if (lower(name) == by) return true;
    }
  }
  return false;
}

}  // namespace dots::data
