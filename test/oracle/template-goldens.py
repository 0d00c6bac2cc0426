#!/usr/bin/env python3
"""Renders chat templates with Jinja2, set up as transformers' apply_chat_template does.

    python3 test/oracle/template-goldens.py            renders the committed goldens anew, from the templates in them
    python3 test/oracle/template-goldens.py FOLDER     writes FOLDER/golden-jinja2.json for each *.jinja below it

Needs Jinja2 (3.1.6 made what is committed). The date is 2026-11-30, 12:00. A rendering that fails is {"error": ...};
`raise_exception: ` begins the error where the template itself refuses.
"""
import datetime
import gzip
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

ROOT = pathlib.Path(__file__).parent.parent
NOW = datetime.datetime(2026, 11, 30, 12)


class Refusal(jinja2.TemplateError):
    pass


class Generation(jinja2.ext.Extension):
    """{% generation %}, which only marks what the assistant says."""

    tags = {'generation'}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(('name:endgeneration',), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method('mark'), [], [], body).set_lineno(line)

    def mark(self, caller):
        return caller()


def raise_exception(message):
    raise Refusal(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


ENVIRONMENT = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols, Generation]
)
ENVIRONMENT.filters['tojson'] = tojson
ENVIRONMENT.globals['raise_exception'] = raise_exception
ENVIRONMENT.globals['strftime_now'] = NOW.strftime


def render(template, variables):
    try:
        return {'text': ENVIRONMENT.from_string(template).render(**variables)}
    except Refusal as refusal:
        return {'error': f'raise_exception: {refusal}'}
    except Exception as fault:
        return {'error': f'{type(fault).__name__}: {fault}'[:200]}


def user(content):
    return {'role': 'user', 'content': content}


def assistant(content):
    return {'role': 'assistant', 'content': content}


def calling(arguments):
    function = {'name': 'get_weather', 'arguments': arguments}
    call = {'id': 'call00001', 'type': 'function', 'function': function}
    answer = {'role': 'tool', 'tool_call_id': 'call00001', 'name': 'get_weather', 'content': '{"celsius": 21}'}
    return [user('Weather in Paris?'), {'role': 'assistant', 'content': '', 'tool_calls': [call]}, answer]


PARAMETERS = {
    'type': 'object',
    'properties': {'city': {'type': 'string', 'description': "The city's name"}, 'days': {'type': 'integer'}},
    'required': ['city'],
}
TOOL = {
    'type': 'function',
    'function': {'name': 'get_weather', 'description': 'Weather of a city', 'parameters': PARAMETERS},
}
SYSTEM = {'role': 'system', 'content': 'You only answer in one word.'}
# transformers always gives tools and documents
COMMON = {'bos_token': '<bos>', 'eos_token': '<eos>', 'tools': None, 'documents': None, 'add_generation_prompt': True}
QUESTION = [user('What is the capital of France?')]
PARTS = [{'role': 'user', 'content': [{'type': 'text', 'text': 'What is 2+2?'}]}]
CONTEXTS = {
    'one-user': COMMON | {'messages': QUESTION},
    'three-turns': COMMON
    | {'messages': [user('Hello'), assistant('Hi there.\n'), user(' How are you? <>&"\'')]},
    'system': COMMON | {'messages': [SYSTEM, user('What is 2+2?')]},
    'no-generation-prompt': COMMON
    | {'messages': [user('Hello'), assistant('Hi.')], 'add_generation_prompt': False},
    'thinking-off': COMMON | {'messages': [user('What is 2+2?')], 'enable_thinking': False},
    'tools-offered': COMMON | {'messages': [user('Weather in Paris?')], 'tools': [TOOL]},
    'tool-call-object': COMMON | {'messages': calling({'city': 'Paris', 'days': 2}), 'tools': [TOOL]},
    'tool-call-string': COMMON | {'messages': calling('{"city": "Paris", "days": 2}'), 'tools': [TOOL]},
    'content-parts': COMMON | {'messages': PARTS},
    'tools-undefined': {k: v for k, v in COMMON.items() if k not in ('tools', 'documents')} | {'messages': QUESTION},
}


def render_all(templates):
    return {
        'contexts': CONTEXTS,
        'date': str(NOW.date()),
        'expected': {
            name: {context: render(text, variables) for context, variables in CONTEXTS.items()}
            for name, text in templates.items()
        },
    }


def write(path, data):
    text = json.dumps(data, ensure_ascii=False, indent=1) + '\n'
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == '.gz' else text.encode())


def render_folder(folder):
    files = sorted(folder.rglob('*.jinja'))
    templates = {str(file.relative_to(folder)): file.read_bytes().decode() for file in files}
    write(folder / 'golden-jinja2.json', render_all(templates))


def render_committed():
    fixture = ROOT / 'fixtures' / 'chat-templates.json.gz'
    templates = json.loads(gzip.decompress(fixture.read_bytes()))['templates']
    write(fixture, {'templates': templates} | render_all({name: entry['text'] for name, entry in templates.items()}))
    golden = ROOT / 'goldens' / 'jinja2-constructs.json'
    data = json.loads(golden.read_text())
    cases = [{'template': case['template']} | render(case['template'], data['variables']) for case in data['cases']]
    write(golden, data | {'cases': cases})


if len(sys.argv) > 1:
    render_folder(pathlib.Path(sys.argv[1]))
else:
    render_committed()
