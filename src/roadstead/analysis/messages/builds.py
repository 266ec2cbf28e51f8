"""BUILD: provenance in Grafeas' own form, and in those of in-toto and SLSA."""

from __future__ import annotations

from roadstead.analysis.fields import ANY, BOOL, BYTES, INT64, STRING, STRUCT, TIME, VALUE, Enum, Map, Message, OneOf, Repeated

_ALIAS = Message(kind=Enum("KIND_UNSPECIFIED FIXED MOVABLE - OTHER"), name=STRING)
_REPO_ID = Message(OneOf("projectRepoId", "uid"), projectRepoId=Message(projectId=STRING, repoName=STRING), uid=STRING)
_CONTEXT = Message(
    OneOf("cloudRepo", "gerrit", "git"),
    cloudRepo=Message(OneOf("revisionId", "aliasContext"), repoId=_REPO_ID, revisionId=STRING, aliasContext=_ALIAS),
    gerrit=Message(OneOf("revisionId", "aliasContext"), hostUri=STRING, gerritProject=STRING, revisionId=STRING, aliasContext=_ALIAS),
    git=Message(url=STRING, revisionId=STRING),
    labels=Map(STRING),
)
_SOURCE = Message(
    artifactStorageSourceUri=STRING,
    fileHashes=Map(Message(fileHash=Repeated(Message(type=STRING, value=BYTES)))),
    context=_CONTEXT,
    additionalContexts=Repeated(_CONTEXT),
)
_COMMAND = Message(name=STRING, env=Repeated(STRING), args=Repeated(STRING), dir=STRING, id=STRING, waitFor=Repeated(STRING))
PROVENANCE = Message(
    id=STRING,
    projectId=STRING,
    commands=Repeated(_COMMAND),
    builtArtifacts=Repeated(Message(checksum=STRING, id=STRING, names=Repeated(STRING))),
    createTime=TIME,
    startTime=TIME,
    endTime=TIME,
    creator=STRING,
    logsUri=STRING,
    sourceProvenance=_SOURCE,
    triggerId=STRING,
    buildOptions=Map(STRING),
    builderVersion=STRING,
)

SUBJECT = Message(name=STRING, digest=Map(STRING))
_COMPLETENESS = Message(arguments=BOOL, environment=BOOL, materials=BOOL)
_ID = Message(id=STRING)


def _times(completeness: Message) -> Message:
    return Message(buildInvocationId=STRING, buildStartedOn=TIME, buildFinishedOn=TIME, completeness=completeness, reproducible=BOOL)


_IN_TOTO_PROVENANCE = Message(
    builderConfig=_ID,
    recipe=Message(type=STRING, definedInMaterial=INT64, entryPoint=STRING, arguments=Repeated(ANY), environment=Repeated(ANY)),
    metadata=_times(_COMPLETENESS),
    materials=Repeated(STRING),
)
_SLSA_PROVENANCE = Message(
    builder=_ID,
    recipe=Message(type=STRING, definedInMaterial=INT64, entryPoint=STRING, arguments=ANY, environment=ANY),
    metadata=_times(_COMPLETENESS),
    materials=Repeated(Message(uri=STRING, digest=Map(STRING))),
)
_SLSA_PROVENANCE_02 = Message(
    builder=_ID,
    buildType=STRING,
    invocation=Message(configSource=Message(uri=STRING, digest=Map(STRING), entryPoint=STRING), parameters=STRUCT, environment=STRUCT),
    buildConfig=STRUCT,
    metadata=_times(Message(parameters=BOOL, environment=BOOL, materials=BOOL)),
    materials=Repeated(Message(uri=STRING, digest=Map(STRING))),
)
STATEMENT = Message(
    OneOf("provenance", "slsaProvenance", "slsaProvenanceZeroTwo"),
    _type=STRING,
    subject=Repeated(SUBJECT),
    predicateType=STRING,
    provenance=_IN_TOTO_PROVENANCE,
    slsaProvenance=_SLSA_PROVENANCE,
    slsaProvenanceZeroTwo=_SLSA_PROVENANCE_02,
)

_DESCRIPTOR = Message(
    name=STRING,
    uri=STRING,
    digest=Map(STRING),
    content=BYTES,
    downloadLocation=STRING,
    mediaType=STRING,
    annotations=Map(VALUE),
)
_SLSA_PROVENANCE_1 = Message(
    _type=STRING,
    subject=Repeated(SUBJECT),
    predicateType=STRING,
    predicate=Message(
        buildDefinition=Message(
            buildType=STRING, externalParameters=STRUCT, internalParameters=STRUCT, resolvedDependencies=Repeated(_DESCRIPTOR)
        ),
        runDetails=Message(
            builder=Message(id=STRING, version=Map(STRING), builderDependencies=Repeated(_DESCRIPTOR)),
            metadata=Message(invocationId=STRING, startedOn=TIME, finishedOn=TIME),
            byproducts=Repeated(_DESCRIPTOR),
        ),
    ),
)

BUILD = Message(
    provenance=PROVENANCE,
    provenanceBytes=STRING,
    intotoProvenance=_IN_TOTO_PROVENANCE,
    intotoStatement=STATEMENT,
    inTotoSlsaProvenanceV1=_SLSA_PROVENANCE_1,
)
BUILD_NOTE = Message(builderVersion=STRING)
