"""Sample sheets for tests, of the shapes that instruments and people write."""

V1 = """[Header]
IEMFileVersion,4
Experiment Name,Tulip

[Reads]
76

[Settings]
Adapter,CTGTCT

[Data]
Sample_ID,Sample_Name,index
T1,tulip one,ACGT
T2,tulip two,CGTA
"""

V2 = """[Header],,
FileFormatVersion,2,
[BCLConvert_Settings],,
SoftwareVersion,4.1.7,
[BCLConvert_Data],,
Lane,Sample_ID,Index
1,T1,ACGT
2,T1,ACGT
2,T2,CGTA
[Cloud_Data],,
Sample_ID,LibraryName,
C1,L1,
"""

RUN_MANIFEST = """# made by hand,,
[SETTINGS],,
SettingName,Value,Lane
# no trimming,,
R1AdapterTrim,FALSE,1+2
,,
[SAMPLES],,
SampleName,Index1,Index2
# controls,,
PhiX,ACGT,CGTA
PhiX,CGTA,ACGT
,,
T1,TTTT,GGGG
"""

BARE_TABLE = """FCID,Lane,SampleID,Recipe
HX,1,T1,R
HX,2,T1,R
HX,2,T2,R
"""
