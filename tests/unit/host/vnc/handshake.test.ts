import { describe, expect, test } from 'vitest'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'
import { converse } from '../../../../src-main/host/vnc/converse.ts'
import { admitViewer, joinEngine, type Gate, type Handshake } from '../../../../src-main/host/vnc/handshake.ts'

const CHALLENGE = Uint8Array.from({ length: 16 }, (_, at) => 0xa0 + at)
const RIGHT = new Uint8Array(16).fill(7)
const WRONG = new Uint8Array(16).fill(8)
const OK = new Uint8Array(4)
const FAILED = Uint8Array.of(0, 0, 0, 1)
const version = (minor: string): Uint8Array => utf8(`RFB 003.${minor}\n`)
const reason = (text: string): Uint8Array => concatBytes([Uint8Array.of(0, 0, 0, text.length), utf8(text)])

function gate(closed: (string | null)[] = []): Gate {
  return { challenge: CHALLENGE, closed: () => closed.shift() ?? null, accepts: (answer) => answer[0] === 7 }
}

/** The other end sends these bytes, one at a time or all at once; gives what was sent to it. */
async function play<Result>(handshake: Handshake<Result>, said: Uint8Array, piece: number) {
  const heard: Uint8Array[] = []
  let at = 0
  const stream = {
    read: async () => (at < said.length ? said.slice(at, (at += piece)) : null),
    write: async (bytes: Uint8Array) => void heard.push(bytes.slice()),
  }
  const { result, rest } = await converse(stream, handshake)
  return { result, heard: concatBytes(heard), rest: concatBytes([rest, said.slice(at)]) }
}

describe.each([1, 1000])('a viewer whose bytes come %i at a time', (piece) => {
  test.each(['008', '889'])('3.%s with the right password', async (minor) => {
    const { result, heard, rest } = await play(
      admitViewer(gate()),
      concatBytes([version(minor), Uint8Array.of(2), RIGHT, Uint8Array.of(0, 9)]),
      piece,
    )
    expect(heard).toEqual(concatBytes([version('008'), Uint8Array.of(1, 2), CHALLENGE, OK]))
    expect(result).toBe(true)
    // What comes behind its ClientInit is the screen's.
    expect(rest).toEqual(Uint8Array.of(9))
  })

  test('3.7 has the choice, and gets no reason', async () => {
    const said = (answer: Uint8Array): Uint8Array => concatBytes([version('007'), Uint8Array.of(2), answer, Uint8Array.of(1)])
    const right = await play(admitViewer(gate()), said(RIGHT), piece)
    expect(right).toMatchObject({ result: true, heard: concatBytes([version('008'), Uint8Array.of(1, 2), CHALLENGE, OK]) })
    const wrong = await play(admitViewer(gate()), said(WRONG), piece)
    expect(wrong).toMatchObject({ result: false, heard: concatBytes([version('008'), Uint8Array.of(1, 2), CHALLENGE, FAILED]) })
  })

  test.each(['003', '005'])('3.%s is told the type, and a result', async (minor) => {
    const told = concatBytes([version('008'), Uint8Array.of(0, 0, 0, 2), CHALLENGE])
    const right = await play(admitViewer(gate()), concatBytes([version(minor), RIGHT, Uint8Array.of(1)]), piece)
    expect(right).toMatchObject({ result: true, heard: concatBytes([told, OK]) })
    const wrong = await play(admitViewer(gate()), concatBytes([version(minor), WRONG]), piece)
    expect(wrong).toMatchObject({ result: false, heard: concatBytes([told, FAILED]) })
  })

  test('a wrong password, or none, is refused with the reason', async () => {
    const wrong = await play(admitViewer(gate()), concatBytes([version('008'), Uint8Array.of(2), WRONG]), piece)
    const offered = concatBytes([version('008'), Uint8Array.of(1, 2)])
    expect(wrong.result).toBe(false)
    expect(wrong.heard).toEqual(concatBytes([offered, CHALLENGE, FAILED, reason('The password is wrong.')]))
    const none = await play(admitViewer(gate()), concatBytes([version('008'), Uint8Array.of(1)]), piece)
    expect(none.result).toBe(false)
    expect(none.heard).toEqual(concatBytes([offered, FAILED, reason('This screen needs a VNC password.')]))
  })

  test('after too many wrong ones nobody may try, nor may who has the challenge already', async () => {
    const early = await play(admitViewer(gate(['Later.'])), version('008'), piece)
    expect(early).toMatchObject({ result: false, heard: concatBytes([version('008'), Uint8Array.of(0), reason('Later.')]) })
    const old = await play(admitViewer(gate(['Later.'])), version('003'), piece)
    expect(old).toMatchObject({ result: false, heard: concatBytes([version('008'), new Uint8Array(4), reason('Later.')]) })
    const answers = [null, 'Later.']
    const said = concatBytes([version('008'), Uint8Array.of(2), RIGHT])
    const late = await play(admitViewer({ ...gate(), closed: () => answers.shift() ?? null }), said, piece)
    expect(late.result).toBe(false)
    expect(late.heard).toEqual(concatBytes([version('008'), Uint8Array.of(1, 2), CHALLENGE, FAILED, reason('Later.')]))
  })

  test('what is no viewer is cut off, what leaves early is no fault', async () => {
    await expect(play(admitViewer(gate()), utf8('GET / HTTP/1.1\r\n\r\n'), piece)).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(play(admitViewer(gate()), version('008').subarray(0, 5), piece)).rejects.toMatchObject({ code: 'disconnected' })
  })

  test('an engine is joined without a password', async () => {
    const said = concatBytes([version('008'), Uint8Array.of(2, 16, 1), OK, Uint8Array.of(9)])
    const { heard, rest } = await play(joinEngine(), said, piece)
    // The last byte: shared.
    expect(heard).toEqual(concatBytes([version('008'), Uint8Array.of(1, 1)]))
    expect(rest).toEqual(Uint8Array.of(9))
    for (const wrong of [
      version('003'),
      concatBytes([version('008'), Uint8Array.of(1, 2)]),
      concatBytes([version('008'), Uint8Array.of(1, 1), FAILED]),
    ])
      await expect(play(joinEngine(), wrong, piece)).rejects.toMatchObject({ code: 'internal' })
  })
})
