import { describe, expect, test } from 'vitest'
import { dissect } from '../../../../src-main/network/capture/dissect/dissect.ts'
import { TCP } from '../../../../src-main/network/codec/tcp.ts'
import { parsePacketFilter } from '../../../../src-shared/model/packet-filter.ts'
import { arpFrame, tcpFrame, udpFrame } from '../../../support/frames.ts'

const ENDS = { from: '10.0.2.15', to: '10.0.2.1' }
const PACKETS = {
  arp: arpFrame(ENDS, 1),
  syn: tcpFrame(ENDS, { sourcePort: 4000, destinationPort: 80, flags: TCP.syn }),
  udp: udpFrame({ from: 'fd00::15', to: 'fd00::1' }, 4000, 9, 'x'),
}

function shown(text: string): string[] {
  const { filter } = parsePacketFilter(text)
  return Object.entries(PACKETS).flatMap(([name, frame]) => {
    const dissected = dissect(frame)
    return filter!({ ...dissected, text: `${dissected.source} ${dissected.info}` }) ? [name] : []
  })
}

describe('filters', () => {
  test.each([
    ['', ['arp', 'syn', 'udp']],
    ['tcp', ['syn']],
    ['tcp port 80', ['syn']],
    ['tcp port 81', []],
    ['port 4000', ['syn', 'udp']],
    ['not arp', ['syn', 'udp']],
    ['arp or udp', ['arp', 'udp']],
    ['host 10.0.2.15', ['arp', 'syn']],
    ['host 10.0.2.15 and not arp', ['syn']],
    ['net fd00::/16', ['udp']],
    ['mac 52:54:00:00:00:01 (arp or port 9)', ['arp', 'udp']],
    ['"[SYN]"', ['syn']],
    ['"who has', ['arp']],
    ['not (arp or udp)', ['syn']],
    ['! TCP', ['arp', 'udp']],
  ])('%s', (text, expected) => {
    expect(shown(text)).toEqual(expected)
  })

  test.each([
    'foo',
    'host',
    'host x',
    'port 99999',
    'port -1',
    'net 10.0.0.1/8',
    'mac 1',
    '(tcp',
    'tcp)',
    'and',
    'tcp or',
    'not',
    '()',
    'x'.repeat(1001),
    'tcp '.repeat(100),
  ])('“%s” is refused with a sentence', (text) => {
    expect(parsePacketFilter(text).problem).toMatch(/^(The filter|A bracket|“).*\.|Write it as in/)
  })
})
