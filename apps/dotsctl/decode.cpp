#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <ostream>

#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/text.h"
#include "model/shapes.h"
#include "wire/explain.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxInput = 4u << 20;

std::string read_some(std::istream& in) {
  std::string text(kMaxInput + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

// Text of hexadecimal digits, perhaps with 0x, ':' or blanks between, or the bytes themselves.
std::optional<base::Bytes> bytes_of(std::string text, bool only_hex) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '0' && i + 1 < text.size() && (text[i + 1] == 'x' || text[i + 1] == 'X'))
      ++i;
    else if (text[i] != ':' && text[i] != ',')
      digits += text[i];
  }
  if (auto bytes = base::from_hex(digits); bytes && !bytes->empty()) return bytes;
  if (only_hex) return std::nullopt;
  return base::Bytes(text.begin(), text.end());
}

}  // namespace

int run_decode(const Options& options, Streams streams) {
  std::string text = options.decode.input;
  const bool argument = options.decode.file.empty() && !text.empty() && text != "-";
  if (!options.decode.file.empty()) {
    std::ifstream in{options.decode.file, std::ios::binary};
    if (!in)
      return fail(options, streams, kUsage, "cannot read '" + options.decode.file + "'", "name a file that is there");
    text = read_some(in);
  } else if (!argument) {
    text = read_some(streams.in);
  }
  if (text.empty()) return fail(options, streams, kUsage, "there is nothing to decode", "give hexadecimal, or --file");
  if (text.size() > kMaxInput) return fail(options, streams, kUsage, "more than 4 MiB", "give one message body");
  const auto bytes = bytes_of(text, argument);
  if (!bytes)
    return fail(options, streams, kUsage, "this is no hexadecimal", "give an even number of digits 0-9 a-f, or --file");

  const auto explained = wire::explain_cbor(*bytes);
  if (!explained)
    return fail(options, streams, kRefused, "this is no DOTS body: " + explained.error().message,
                "a body is a CBOR map; leave the CoAP header, options and the 0xff marker out");
  if (options.json) {
    boost::system::error_code error;
    json::value body = json::parse(explained->json, error);
    json::array messages, remarks;
    for (const auto& verdict : explained->verdicts)
      messages.push_back(json::object{
          {"message", model::shape_of(verdict.message).name}, {"valid", verdict.valid}, {"reason", verdict.reason}});
    for (const auto& remark : explained->remarks) remarks.emplace_back(remark);
    const json::object out{{"body", error ? json::value{explained->json} : std::move(body)},
                           {"messages", std::move(messages)},
                           {"remarks", std::move(remarks)}};
    streams.out << json::serialize(out) << "\n";
    return kOk;
  }
  streams.out << explained->json << (explained->json.ends_with('\n') ? "" : "\n") << "\n";
  for (const auto& line : explained->lines) streams.out << printable(line) << "\n";
  if (!explained->verdicts.empty()) streams.out << "\n";
  for (const auto& verdict : explained->verdicts)
    streams.out << (verdict.valid ? "Valid as: " : "Not valid as: ") << model::shape_of(verdict.message).name
                << (verdict.valid ? "" : " (" + printable(verdict.reason) + ")") << "\n";
  for (const auto& remark : explained->remarks) streams.out << "Note: " << printable(remark) << "\n";
  return kOk;
}

}  // namespace dots::dotsctl
