import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { buildXml, node, type XmlNode } from '../../../../src-main/host/exchange/xml/build-xml.ts'
import { attribute, child, childText, MAX_XML_BYTES, parseXml, type XmlElement } from '../../../../src-main/host/exchange/xml/parse-xml.ts'

const parse = (text: string): XmlElement => parseXml(utf8(text), 'a.xml')

describe('reading', () => {
  test('names without prefixes, with their spaces', () => {
    const root = parse('<a xmlns="urn:1" xmlns:p="urn:2" p:x="1" x="2" y="3"><p:b> t<![CDATA[<u>]]><!-- c -->v </p:b></a>')
    expect([root.name, root.space, child(root, 'b')!.space]).toEqual(['a', 'urn:1', 'urn:2'])
    expect(attribute(root, 'x')).toBe('1')
    expect(attribute(root, 'y')).toBe('3')
    expect(childText(root, 'b')).toBe('t<u>v')
    expect(childText(root, 'c')).toBeNull()
  })

  test('in the encodings that XML has', () => {
    const text = '<?xml version="1.0" encoding="ENC"?><a>é中</a>'
    expect(parse(text.replace('ENC', 'UTF-8')).text).toBe('é中')
    expect(parse(`\ufeff${text.replace('ENC', 'utf-8')}`).text).toBe('é中')
    expect(parseXml(Buffer.from(`\ufeff${text.replace('ENC', 'UTF-16')}`, 'utf16le'), 'a.xml').text).toBe('é中')
    expect(parseXml(Buffer.from('<a>é</a>', 'utf16le'), 'a.xml').text).toBe('é')
    expect(parseXml(Buffer.from(`\ufeff<a>é</a>`, 'utf16le').swap16(), 'a.xml').text).toBe('é')
    expect(parseXml(Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>', 'latin1'), 'a.xml').text).toBe('é')
  })

  test('names of the language’s own objects are names like any others', () => {
    const root = parse('<constructor __proto__="1" toString="2"/>')
    expect([root.name, attribute(root, '__proto__'), attribute(root, 'toString'), attribute(root, 'valueOf')]).toEqual([
      'constructor',
      '1',
      '2',
      null,
    ])
    expect(() => parse('<a>&toString;</a>')).toThrow('undefined entity')
  })

  test.each([
    ['', 'not proper XML'],
    ['<a>', 'unclosed tag'],
    ['<a></b>', 'line 1'],
    ['<a/>\n\n<b/>', 'line 3'],
    ['<p:a/>', 'unbound namespace'],
    ['<a b="1" b="2"/>', 'duplicate attribute'],
    ['<a>&x;</a>', 'undefined entity'],
    ['<a>&#0;</a>', 'malformed character'],
    ['<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 'declares entities'],
    ['<!DOCTYPE a [<!ENTITY % x "y"> %x;]><a/>', 'declares entities'],
    ['<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><a>&x;</a>', 'undefined entity'],
    ['<?xml version="1.0" encoding="klingon"?><a/>', 'unknown encoding'],
    ['<a>'.repeat(300), 'more than 256 deep'],
    [`<a>${'<b/>'.repeat(50_000)}</a>`, 'more than 50000 elements'],
    [`<a>${'<b c="" d="" e=""/>'.repeat(34_000)}</a>`, 'more than 100000 attributes'],
    [' '.repeat(MAX_XML_BYTES + 1), '4 MiB'],
  ])('%#: refused', (text, sentence) => {
    expect(() => parse(text)).toThrow(AppError)
    expect(() => parse(text)).toThrow(sentence)
  })

  test('bytes that are no text', () => expect(() => parseXml(Uint8Array.of(0x3c, 0x61, 0xff, 0x3e), 'a.xml')).toThrow('not text'))

  test('any bytes give a tree or an AppError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          parseXml(bytes, 'a.xml')
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
    )
  })
})

describe('writing', () => {
  test('what is written is read back', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
    const text = fc.string({ unit: 'binary', maxLength: 30 })
    const attributes = fc.dictionary(name, text, { maxKeys: 4 })
    const { tree } = fc.letrec<{ tree: XmlNode }>((tie) => ({
      tree: fc
        .tuple(name, attributes, fc.oneof({ maxDepth: 4 }, text, fc.array(tie('tree'), { minLength: 1, maxLength: 3 })))
        .map(([tag, of, content]) => node(tag, of, content as XmlNode['content'])),
    }))
    // What XML cannot hold is replaced.
    // eslint-disable-next-line no-control-regex -- finding control characters is the point
    const legal = (value: string): string => value.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    const same = (element: XmlElement, of: XmlNode): void => {
      expect(element.name).toBe(of.name)
      expect([...element.attributes]).toEqual(Object.entries(of.attributes).map(([key, value]) => [key, legal(value)]))
      if (typeof of.content === 'string') expect(element.text).toBe(legal(of.content))
      else of.content.forEach((one, at) => same(element.children[at]!, one))
    }
    fc.assert(fc.property(tree, (of) => same(parse(buildXml(of)), of)))
  })
})
