// Keys of [[mitigator]] for back ends outside of the daemon (docs/mitigators.md).
#include <string>

#include "ops/config_keys.h"
#include "ops/config_sections.h"

namespace dots::ops {

using namespace keys;

namespace {

constexpr std::size_t kMostWords = 32;

Reading<std::string> word(const std::string& text) { return read_line(text, 4096); }

Reading<std::string> web_address(const std::string& text) {
  constexpr const char* kRemedy = "write for example 'https://scrubber.example.net/tidewall'";
  auto line = read_line(text, 2000);
  if (!line) return line;
  if (!text.starts_with("https://")) return Complaint{"'" + text + "' is no https address", kRemedy};
  const auto host = text.find_first_of("/?:", 8);
  if (text.size() == 8 || host == 8 || text.find_first_of(" #@\"<>\\^`{|}") != std::string::npos)
    return Complaint{"'" + text + "' is no address of a web service", kRemedy};
  return text;
}

Reading<std::string> mail_address(const std::string& text) {
  const auto at = text.find('@');
  const bool plain = text.find_first_of(" \t,;:<>()[]\\\"\r\n") == std::string::npos && read_line(text, 254).ok();
  if (plain && at != std::string::npos && at > 0 && at + 1 < text.size() && text[0] != '-') return text;
  return Complaint{"'" + text + "' is no mail address", "write for example 'noc@example.net'"};
}

}  // namespace

std::vector<KeySpec> external_mitigator_keys() {
  using M = MitigatorConfig;
  return {
      list<M>(
          "helper_command", &M::helper_command, "list of texts", kMostWords, word,
          {"nftables: starts the helper in another namespace or on another host, instead of `helper`. The arguments "
           "of the helper are appended, and it speaks over standard input and output.",
           "[\"/usr/sbin/ip\", \"netns\", \"exec\", \"edge\", \"/usr/lib/tidewall/dots-nft-helper\"]"},
          Doubles::allowed),
      list<M>("command", &M::command, "list of texts", kMostWords, word,
              {"command: the program, by its full path, and its arguments. It is run for each call.",
               "[\"/usr/local/lib/tidewall/our-router\", \"edge-1\"]"},
              Doubles::allowed),
      parsed<M>(
          "url", &M::url, "text", web_address,
          {"webhook: the service, which is asked by POST. notify: who is told by POST as well. https alone, and its "
           "certificate is always checked.",
           "\"https://scrubber.example.net/tidewall\""}),
      path<M>("url_ca_file", &M::url_ca_file,
              {"webhook, notify: PEM file of the authorities that `url` is checked with.", "\"scrubber-ca.pem\""}),
      path<M>("secret_file", &M::secret_file,
              {"webhook, notify: the secret of the signature in the file's first line, at least 16 characters; not "
               "readable by everybody.",
               "\"webhook.secret\""}),
      list<M>("mail_to", &M::mail_to, "list of texts", 16, mail_address,
              {"notify: who is asked and told by mail.", "[\"noc@example.net\"]"}),
      by_default("the first of `mail_to`", parsed<M>("mail_from", &M::mail_from, "text", mail_address,
                                                     {"notify: the sender.", "\"tidewall@example.net\""})),
      by_default("`[\"/usr/sbin/sendmail\", \"-t\", \"-i\"]`",
                 list<M>("mail_command", &M::mail_command, "list of texts", kMostWords, word,
                         {"notify: takes the mail with its header on standard input.", "[\"/usr/bin/msmtp\", \"-t\"]"},
                         Doubles::allowed)),
      number<M>("notice_every_s", &M::notice_every_s, "s", {1, 86400},
                {"notify: at most one notice in this time; what comes meanwhile is told together.", "60"}),
  };
}

void check_external_mitigator(const MitigatorConfig& mitigator, const std::string& path, const ConfigPlaces& places,
                              ConfigProblems& problems) {
  const auto complain = [&](const std::string& key, const std::string& what, const std::string& remedy) {
    const std::string whole = path + "." + key;
    const auto at = places.find(places.contains(whole) ? whole : path);
    problems.add(at == places.end() ? 0 : at->second, whole, what, remedy);
  };
  const auto full_path = [&](const std::string& key, const std::vector<std::string>& words) {
    if (!words.empty() && !words.front().starts_with('/')) {
      complain(key, "'" + words.front() + "' is no full path of a program", "begin it with '/'");
    }
  };
  if (mitigator.kind == "command" && mitigator.command.empty()) {
    complain("command", "there is no program to run", "write for example command = [\"/usr/local/bin/our-router\"]");
  }
  if (mitigator.kind == "webhook" && mitigator.url.empty()) {
    complain("url", "there is no address to go to",
             "write for example url = \"https://scrubber.example.net/tidewall\"");
  }
  if (mitigator.kind == "webhook" && mitigator.secret_file.empty()) {
    complain("secret_file", "the service could not know who asks",
             "name a file with a secret of 16 or more characters");
  }
  if (mitigator.kind == "notify" && mitigator.url.empty() && mitigator.mail_to.empty()) {
    complain("mail_to", "there is nobody to be asked", "set `mail_to`, `url` or both");
  }
  if (mitigator.mail_command.empty()) complain("mail_command", "there is no program to run", "leave the key out");
  full_path("mail_command", mitigator.mail_command);
  full_path("helper_command", mitigator.helper_command);
  full_path("command", mitigator.command);
}

}  // namespace dots::ops
