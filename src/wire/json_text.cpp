#include "wire/json_text.h"

namespace dots::wire {

void JsonText::new_line() {
  if (!pretty_) return;
  out_ += '\n';
  out_.append(2 * level_, ' ');
}

void JsonText::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (level_ == 0) return;
  if (!first_) out_ += ',';
  first_ = false;
  new_line();
}

void JsonText::begin(char bracket) {
  separate();
  out_ += bracket;
  ++level_;
  first_ = true;
}

void JsonText::end(char bracket) {
  --level_;
  if (!first_) new_line();
  out_ += bracket;
  first_ = false;
}

void JsonText::key(std::string_view name) {
  separate();
  quote(name);
  out_ += pretty_ ? ": " : ":";
  after_key_ = true;
}

void JsonText::string(std::string_view value) {
  separate();
  quote(value);
}

void JsonText::raw(std::string_view value) {
  separate();
  out_ += value;
}

void JsonText::quote(std::string_view value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out_ += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\t') {
      out_ += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out_ += "\\u00";
      out_ += kDigits[byte >> 4];
      out_ += kDigits[byte & 0xf];
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

std::string decimal_text(std::uint64_t hundredths) {
  std::string out = std::to_string(hundredths / 100);
  out += '.';
  out += static_cast<char>('0' + hundredths % 100 / 10);
  out += static_cast<char>('0' + hundredths % 10);
  return out;
}

}  // namespace dots::wire
