/** Every form that maps are imported from and exported to. */
import { cyrusMboxlist } from './cyrus-mboxlist.ts'
import { dovecotDirector } from './dovecot-director.ts'
import { dovecotPasswdFile } from './dovecot-passwd-file.ts'
import { haproxyMap } from './haproxy-map.ts'
import { jsonLines } from './json-lines.ts'
import { makemapText } from './makemap-text.ts'
import type { MapFormat } from './map-format.ts'
import { nginxMap } from './nginx-map.ts'
import { perditionConf } from './perdition-conf.ts'
import { perditionPopmap } from './perdition-popmap.ts'
import { perditionPopmapRe } from './perdition-popmap-re.ts'
import { postfixRelayRecipients } from './postfix-relay-recipients.ts'
import { postfixRelocated } from './postfix-relocated.ts'
import { postfixTransport } from './postfix-transport.ts'
import { postfixVirtual } from './postfix-virtual.ts'
import { sendmailAliases } from './sendmail-aliases.ts'
import { soraJson } from './sora-json.ts'
import { stalwartTsv } from './stalwart-tsv.ts'

const all: readonly MapFormat[] = [
  sendmailAliases,
  makemapText,
  postfixTransport,
  postfixVirtual,
  postfixRelocated,
  postfixRelayRecipients,
  perditionPopmap,
  perditionPopmapRe,
  perditionConf,
  dovecotPasswdFile,
  dovecotDirector,
  cyrusMboxlist,
  nginxMap,
  haproxyMap,
  stalwartTsv,
  soraJson,
  jsonLines,
]

export const mapFormats: ReadonlyMap<string, MapFormat> = new Map(
  all.map((format) => [format.name, format]),
)
