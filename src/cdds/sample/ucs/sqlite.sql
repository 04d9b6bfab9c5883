-- A UCS database (contact history) in SQLite, in the canonical spelling of its names.
--
-- Instants are texts in UTC, as SQLite's own functions write them: 2025-03-04 09:01:02.345
-- Flags are 0 or 1. Try it by hand:  sqlite3 ucs.db < sqlite.sql

-- What was said, once for each interaction. ALLATTRIBUTES holds JSON in UTF-8.
create table "Interaction" (
    "ID" text not null primary key,
    "STATUS" integer not null,
    "ENTITYTYPEID" integer not null,
    "MEDIATYPEID" text not null,
    "TYPEID" text not null,
    "SUBTYPEID" text,
    "EXTERNALID" text,
    "OWNERID" integer,
    "CONTACTID" text,
    "PARENTID" text,
    "STARTDATE" text not null,
    "MODIFIEDDATE" text,
    "ENDDATE" text,
    "THREADID" text,
    "CATEGORYID" text,
    "TIMESHIFT" integer,
    "SUBJECT" text,
    "TEXT" text,
    "STRUCTUREDTEXT" text,
    "STRUCTTEXTMIMETYPE" text,
    "THECOMMENT" text,
    "TENANTID" integer not null,
    "SUBTENANTID" integer,
    "THREADHASH" integer,
    "CANBEPARENT" integer not null,
    "CREATORAPPID" integer not null,
    "QUEUENAME" text,
    "ALLATTRIBUTES" blob,
    "STRATTRIBUTE1" text,
    "STRATTRIBUTE2" text,
    "STRATTRIBUTE3" text,
    "STRATTRIBUTE4" text,
    "STRATTRIBUTE5" text,
    "STRATTRIBUTE6" text,
    "STRATTRIBUTE7" text,
    "STRATTRIBUTE8" text,
    "STRATTRIBUTE9" text,
    "STRATTRIBUTE10" text,
    "INTATTRIBUTE1" integer,
    "INTATTRIBUTE2" integer,
    "INTATTRIBUTE3" integer,
    "INTATTRIBUTE4" integer,
    "INTATTRIBUTE5" integer,
    "ISSPAM" integer,
    "WEBSAFEEMAILSTATUS" text,
    "ISCATEGORYAPPROVED" integer,
    "STOPPEDREASON" text,
    "LANG" text,
    "SUBSCRIBERID" text
);

-- What an interaction has beyond that, in the table of its ENTITYTYPEID, under the same key.
-- 0: a mail that came in.
create table "EmailIn" (
    "ID" text not null primary key references "Interaction" ("ID"),
    "FROMADDRESS" text,
    "FROMPERSONAL" text,
    "REPLYTOADDRESS" text,
    "TOADDRESSES" text,
    "CCADDRESSES" text,
    "BCCADDRESSES" text,
    "SENTDATE" text,
    "MAILBOX" text,
    "WHICHRULEMATCHED" text,
    "EMAILOUTID" text,
    "HEADER" blob
);

-- 1: a mail that went out; its header is in its original document.
create table "EmailOut" (
    "ID" text not null primary key references "Interaction" ("ID"),
    "FROMADDRESS" text,
    "FROMPERSONAL" text,
    "REPLYTOADDRESS" text,
    "TOADDRESSES" text,
    "CCADDRESSES" text,
    "BCCADDRESSES" text,
    "SENTDATE" text,
    "FORWARD" integer,
    "REFERENCEID" text,
    "REVIEWERID" integer,
    "STANDARDRESPONSEID" text
);

-- 2: a chat; its transcript is the STRUCTUREDTEXT of the interaction.
create table "Chat" (
    "ID" text not null primary key references "Interaction" ("ID"),
    "ESTABLISHEDDATE" text,
    "RELEASEDDATE" text
);

-- 3: a call.
create table "PhoneCall" (
    "ID" text not null primary key references "Interaction" ("ID"),
    "DURATION" integer,
    "OUTCOME" text,
    "PHONENUMBER" text,
    "TCONNECTIONID" text
);

-- 5: a callback.
create table "Callback" (
    "ID" text not null primary key references "Interaction" ("ID"),
    "CALLBACKSTATUS" integer,
    "DETAILEDDESCRIPTION" text,
    "CUSTOMDATA" text,
    "DESIREDRESPONSETYPE" integer,
    "STARTTIME" text,
    "ENDTIME" text,
    "CUSTOMERNUMBER" text,
    "ATTEMPTS" integer,
    "DN" text,
    "LOCATION" text,
    "CALLBACKSERVERID" text,
    "CALLRESULT" integer,
    "THETYPE" integer
);

-- 6: a co-browsing session. 7, open media, has no table.
create table "CoBrowse" (
    "ID" text not null primary key references "Interaction" ("ID")
);

-- Files. The one under the key of an interaction is its original document, such as the whole mail.
create table "Document" (
    "ID" text not null primary key,
    "MIMETYPE" text,
    "THENAME" text,
    "DESCRIPTION" text,
    "THESIZE" integer,
    "CONTENT" blob
);

-- Which other files hang on an interaction.
create table "Attachment" (
    "DOCUMENTID" text not null references "Document" ("ID"),
    "ENTITYID" text not null references "Interaction" ("ID"),
    "ENTITYTYPEID" integer not null,
    primary key ("ENTITYID", "DOCUMENTID")
);

-- Who got in touch. DATEATTRIBUTE1 to 3 are milliseconds since 1970.
create table "Contact" (
    "CONTACTID" text not null primary key,
    "TENANTID" integer,
    "SUBTENANTID" integer,
    "ISEXTERNALRESOURCE" integer,
    "STRATTRIBUTE1" text,
    "STRATTRIBUTE2" text,
    "STRATTRIBUTE3" text,
    "STRATTRIBUTE4" text,
    "STRATTRIBUTE5" text,
    "STRATTRIBUTE6" text,
    "STRATTRIBUTE7" text,
    "STRATTRIBUTE8" text,
    "STRATTRIBUTE9" text,
    "STRATTRIBUTE10" text,
    "DATEATTRIBUTE1" integer,
    "DATEATTRIBUTE2" integer,
    "DATEATTRIBUTE3" integer,
    "CREATEDDATE" text,
    "MODIFIEDDATE" text,
    "MERGEID" text,
    "SUBSCRIBERID" text
);

-- One value of one attribute of a contact.
create table "ContactAttribute" (
    "ID" text not null primary key,
    "CONTACTID" text not null references "Contact" ("CONTACTID"),
    "ATTRIBUTEID" text,
    "ATTRIBUTENAME" text,
    "MIMETYPE" text,
    "STRVALUE" text,
    "STRVALUELOWERCASE" text,
    "BINVALUE" blob,
    "DATEVALUE" text,
    "DESCRIPTION" text,
    "ISPRIMARY" integer,
    "TENANTID" integer,
    "SUBTENANTID" integer
);

-- Indexes, after the rows where there are many.
create index interaction_startdate on "Interaction" ("STARTDATE");
create index interaction_mediatypeid_startdate on "Interaction" ("MEDIATYPEID", "STARTDATE");
create index interaction_contactid on "Interaction" ("CONTACTID");
create index attachment_documentid on "Attachment" ("DOCUMENTID");
create index contact_modifieddate on "Contact" ("MODIFIEDDATE");
create index contactattribute_contactid on "ContactAttribute" ("CONTACTID");
