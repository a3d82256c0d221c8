/** A shell on the console of a guest that the product runs, for a host of tests. */
import { attach, type TestHost } from '../../integration/machines/support/test-host.ts'

/** @returns what runs a command in the shell that has been there all the time, also in earlier lives, and gives what it prints, trimmed */
export function shellOf(host: TestHost, id: string): (command: string) => Promise<string> {
  let lines = 0
  return async (command) => {
    const console = await attach(host, id)
    const mark = `mark${lines++}`
    // Its echo has no whole mark in it.
    await console.type(`echo ${mark}b''egin; ${command}; echo ${mark}e''nd`)
    const text = await console.until(`${mark}end`)
    console.stream.close()
    return text
      .slice(text.indexOf(`${mark}begin`) + `${mark}begin`.length, text.indexOf(`${mark}end`))
      .replaceAll('\r', '')
      .trim()
  }
}
