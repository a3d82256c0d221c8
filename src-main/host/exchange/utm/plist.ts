/** Apple property lists in XML (PropertyList-1.0.dtd, as plist(5) describes it): dictionaries, arrays, strings, numbers, truth values. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { parseXml, type XmlElement } from '../xml/parse-xml.ts'

/** Data and dates are their text. */
export type PlistValue = string | number | boolean | PlistValue[] | PlistDictionary
export type PlistDictionary = ReadonlyMap<string, PlistValue>

/**
 * @param what the file, for sentences
 * @throws AppError `corrupt`, `unsupported` (binary lists, limits of XML)
 */
export function parsePlist(bytes: Uint8Array, what: string): PlistValue {
  if (new TextDecoder('latin1').decode(bytes.subarray(0, 6)) === 'bplist')
    throw new AppError('unsupported', `${what} is a binary property list. Save it as XML (plutil -convert xml1) and try again.`, {
      subject: what,
    })
  const root = parseXml(bytes, what)
  const value = root.children[0]
  if (root.name !== 'plist' || value === undefined || root.children.length !== 1)
    throw new AppError('corrupt', `${what} is not a property list.`, { subject: what })
  return valueOf(value, what)
}

function valueOf(element: XmlElement, what: string): PlistValue {
  const bad = (is: string): AppError => new AppError('corrupt', `${what} is not a proper property list: ${is}.`, { subject: what })
  switch (element.name) {
    case 'dict': {
      const entries = new Map<string, PlistValue>()
      for (let at = 0; at < element.children.length; at += 2) {
        const key = element.children[at]!
        const value = element.children[at + 1]
        if (key.name !== 'key' || value === undefined) throw bad('a dictionary has a value without a key, or a key without a value')
        entries.set(key.text, valueOf(value, what))
      }
      return entries
    }
    case 'array':
      return element.children.map((one) => valueOf(one, what))
    case 'true':
      return true
    case 'false':
      return false
    case 'integer':
    case 'real': {
      const number = Number(element.text.trim())
      if (element.text.trim() === '' || !Number.isFinite(number)) throw bad('a number is none')
      return number
    }
    case 'string':
    case 'data':
    case 'date':
      return element.text
    default:
      throw bad('it has an element that lists do not have')
  }
}

export function isDictionary(value: PlistValue | undefined): value is PlistDictionary {
  return value instanceof Map
}
